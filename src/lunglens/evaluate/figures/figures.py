"""All figures of a run, as SVG files with their text as text and no patient's film."""

from pathlib import Path

from lunglens.evaluate.figures.classifier import confusion_figure, folds_figure, gap_figure
from lunglens.evaluate.figures.curves import curves_figure, read_curves
from lunglens.evaluate.figures.lungs import dice_figure, lung_folds_figure
from lunglens.evaluate.figures.reliability import reliability_figure
from lunglens.evaluate.figures.scores import precision_recall_figure, roc_figure
from lunglens.evaluate.figures.style import save_svg
from lunglens.evaluate.predictions import read_predictions
from lunglens.evaluate.run_record import ClassifierRun, read_classifier_metrics, read_lung_metrics, read_run
from lunglens.evaluate.segmentation import read_lung_predictions


def write_figures(run: Path) -> list[Path]:
    """Draw a finished run (`run.json`, `predictions.csv`, `metrics.json`, the folds' logs) into `run/figures/`.

    Of every run `curves.svg` and `folds.svg`; of a classifier's `confusion.svg`, `roc.svg`, `precision-recall.svg`,
    `gap.svg`, `reliability.svg`; of one on lungs `dice.svg`. What cannot be drawn (no log, one class only) is left out.

    Returns:
        the files.

    Raises:
        DataError: one of the run's files is missing or damaged, or the run is of another kind.
    """
    folder = run / "figures"
    about = read_run(run)
    written = save_svg(folder / "curves.svg", curves_figure, read_curves(run))
    if isinstance(about, ClassifierRun):
        metrics, classes = read_classifier_metrics(run), about.classes
        predictions = read_predictions(run / "predictions.csv", classes)
        written += save_svg(folder / "folds.svg", folds_figure, metrics)
        written += save_svg(folder / "confusion.svg", confusion_figure, metrics)
        written += save_svg(folder / "roc.svg", roc_figure, predictions, classes, metrics)
        written += save_svg(folder / "precision-recall.svg", precision_recall_figure, predictions, classes, metrics)
        written += save_svg(folder / "gap.svg", gap_figure, metrics)
        written += save_svg(folder / "reliability.svg", reliability_figure, predictions, classes)
    else:
        written += save_svg(folder / "folds.svg", lung_folds_figure, read_lung_metrics(run))
        written += save_svg(folder / "dice.svg", dice_figure, read_lung_predictions(run / "predictions.csv"))
    return written
