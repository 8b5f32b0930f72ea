"""The figures and tables of made-up runs: what is drawn is what was measured."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lunglens.errors import DataError
from lunglens.evaluate.classification import metrics_of
from lunglens.evaluate.figures import table6, write_figures, write_worst
from lunglens.evaluate.figures.classifier import best_and_worst, confusion_figure, folds_figure, gap_figure
from lunglens.evaluate.figures.lungs import dice_figure, left_edge, lung_folds_figure
from lunglens.evaluate.figures.table6 import as_table
from lunglens.evaluate.run_record import ClassifierMetrics
from lunglens.evaluate.segmentation import lung_metrics_of
from lunglens.files import write_json
from tests.support.crossval_run import run_folder, texts
from tests.support.phantom import chest, save_png
from tests.support.predictions import TWO, lung_predictions, predictions

THREE = ("covid", "pneumonia", "normal")


pytestmark = pytest.mark.usefixtures("house_style")


# Matrices, bars and the gap


def test_the_best_and_the_worst_fold_go_by_accuracy_and_then_by_auroc(metrics: ClassifierMetrics) -> None:
    numbers = {"0": (0.9, 0.95), "1": (0.9, 0.97), "2": (0.8, None), "3": (0.8, 0.99)}
    folds = {
        name: metrics.folds["0"].model_copy(update={"accuracy": accuracy, "auroc": auroc})
        for name, (accuracy, auroc) in numbers.items()
    }
    assert best_and_worst(folds) == ("1", "2")


def test_confusion_matrices_are_of_the_best_the_worst_and_all_folds(metrics: ClassifierMetrics) -> None:
    figure = confusion_figure(metrics)
    assert figure is not None
    best, worst = best_and_worst(metrics.folds)
    titles = [axes.get_title() for axes in figure.axes]
    assert [title.split("\n")[0] for title in titles] == [f"best: fold {best}", f"worst: fold {worst}", "all folds"]
    for axes, found in zip(figure.axes, [metrics.folds[best], metrics.folds[worst], metrics.pooled], strict=True):
        cells = [text.get_text() for text in axes.texts]
        assert [int(cell.split("\n")[0]) for cell in cells] == np.ravel(found.confusion).tolist()
        assert cells[0].split("\n")[1] == f"{100 * found.sensitivity:.1f} %"
        assert axes.get_title().endswith(f"{100 * found.accuracy:.2f} %")
    one = confusion_figure(metrics_of(predictions(40, TWO), TWO))
    assert one is not None
    assert len(one.axes) == 1


def test_a_bar_is_as_high_as_its_fold_s_measure(metrics: ClassifierMetrics) -> None:
    figure = folds_figure(metrics)
    assert figure is not None
    for axes, name in zip(figure.axes, ["accuracy", "sensitivity", "specificity"], strict=False):
        heights = [bar.get_height() / 100 for bar in axes.patches]
        assert heights == pytest.approx([fold.value(name) for fold in metrics.folds.values()])
        mean = metrics.mean_of_folds[name].mean
        assert axes.lines[0].get_ydata()[0] == pytest.approx(100 * mean)
        assert axes.get_title(loc="left").startswith(f"{name} %: mean {100 * mean:.2f}, SD ")


def test_a_measure_that_a_fold_does_not_define_is_a_dash(table: pd.DataFrame) -> None:
    changed = table.copy()
    changed.loc[changed["fold"] == "1", "class"] = "normal"
    figure = folds_figure(metrics_of(changed, TWO))
    assert figure is not None
    auroc = next(axes for axes in figure.axes if axes.get_title(loc="left").startswith("AUROC"))
    assert [text.get_text() for text in auroc.texts].index("-") == 1


def test_the_gap_sets_the_cross_validated_area_beside_those_never_seen(metrics: ClassifierMetrics) -> None:
    figure = gap_figure(metrics)
    assert figure is not None
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[:3] == ["cross-validated, all folds", "cross-validated, within both", "never seen: all films"]
    assert len(names) == 5  # sources of one class have no area
    points = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    pairs = [part.auroc for part in metrics.external.values() if part.auroc is not None]
    assert points == [metrics.pooled.auroc, metrics.by_source["both"].auroc, *pairs]


# Lungs


def test_films_far_below_all_others_are_counted_at_the_edge() -> None:
    table = lung_predictions(200)
    table.loc[3, "dice"] = 0.0
    figure = dice_figure(table)
    assert figure is not None
    (axes,) = figure.axes
    left = left_edge(table["dice"].to_numpy())
    assert axes.get_xlim()[0] == left
    assert 0.8 <= left < table["dice"].drop(3).min()
    assert f"1 below {left:.2f}, lowest 0.000" in texts(figure)
    drawn = np.concatenate([line.get_xdata() for line in axes.lines if line.get_marker() == "."])
    np.testing.assert_allclose(np.sort(drawn), np.sort(table["dice"]))
    means = table.groupby("source")["dice"].mean()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [f"{name}\nmean {means[name]:.4f}, n=100" for name in ("montgomery", "shenzhen")]


def test_lungs_have_a_bar_a_fold_for_overlap_and_distance() -> None:
    metrics = lung_metrics_of(lung_predictions())
    figure = lung_folds_figure(metrics)
    assert figure is not None
    for axes, name in zip(figure.axes, ["dice", "iou", "hd95_px", "assd_px"], strict=True):
        assert [bar.get_height() for bar in axes.patches] == [
            fold.summary(name).mean for fold in metrics.folds.values()
        ]


def test_the_worst_films_are_drawn_with_both_outlines(tmp_path: Path) -> None:
    table = lung_predictions(6)
    table["dice"] = [0.9, 0.2, 0.95, 0.5, 0.97, 0.8]
    table["path"] = [f"films/{index}.png" for index in range(6)]
    table["mask_path"] = table["predicted"] = [f"masks/{index}.png" for index in range(6)]
    for index in range(6):
        film, lungs = chest(index, 128)
        save_png(film, tmp_path / "data" / table["path"][index])
        save_png(lungs.astype(np.float32), tmp_path / "data" / table["mask_path"][index])
        save_png(np.roll(lungs, 9, axis=1).astype(np.float32), tmp_path / "run" / "masks" / f"{index}.png")
    (tmp_path / "data" / "films" / "3.png").write_bytes(b"torn")
    path = write_worst(tmp_path / "run", table, tmp_path / "data", count=3)
    assert path.name == "worst-3.png"
    sheet = np.asarray(Image.open(path), int)
    assert sheet.shape == (44 + 384 + 44, 5 * 384, 3)

    def coloured(tile: int) -> tuple[int, int]:
        """Pixels of the two outlines' colours: cyan, amber."""
        red, _, blue = np.moveaxis(sheet[44 : 44 + 384, tile * 384 : (tile + 1) * 384], 2, 0)
        return int(((blue - red) > 100).sum()), int(((red - blue) > 80).sum())

    for tile, drawn in ((0, True), (1, False), (2, True)):  # films 1, 3 (which cannot be read) and 5
        assert all((n > 300) == drawn for n in coloured(tile))


def test_without_true_masks_there_is_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mask_path is missing"):
        write_worst(tmp_path, lung_predictions(6), tmp_path)


# Whole runs


def test_a_classifier_s_run_is_drawn_as_svg_with_its_text_as_text(
    table: pd.DataFrame, metrics: ClassifierMetrics, tmp_path: Path
) -> None:
    run = run_folder(tmp_path, table, metrics)
    written = write_figures(run)
    names = ["curves", "folds", "confusion", "roc", "precision-recall", "gap", "reliability"]
    assert written == [run / "figures" / f"{name}.svg" for name in names]
    svg = {path.stem: path.read_text() for path in written}
    for name, phrase in {
        "confusion": "worst: fold",
        "roc": f"AUROC {metrics.pooled.auroc:.3f}",
        "precision-recall": f"AUPRC {metrics.pooled.auprc:.3f}",
        "gap": "never seen: covid of hospital 1, normal of hospital 2",
        "reliability": "said: probability of covid",
        "folds": f"{100 * metrics.folds['2'].accuracy:.1f}",
        "curves": "mean of 4 folds",
    }.items():
        assert phrase in re.sub(r"<[^>]+>", "\n", svg[name]), name
        assert "<image" not in svg[name]
    before = {path: path.read_bytes() for path in written}
    write_figures(run)
    assert {path: path.read_bytes() for path in written} == before


def test_a_run_with_external_films_alone_has_its_gap_drawn(tmp_path: Path) -> None:
    external = predictions(60, TWO).assign(fold="external")
    run = run_folder(tmp_path, external, metrics_of(external, TWO))
    assert [path.stem for path in write_figures(run)] == ["gap", "reliability"]


def test_a_run_on_lungs_is_drawn(tmp_path: Path) -> None:
    run = run_folder(tmp_path, lung_predictions(), lung_metrics_of(lung_predictions()))
    assert [path.stem for path in write_figures(run)] == ["curves", "folds", "dice"]
    assert ">Dice<" in (run / "figures" / "curves.svg").read_text()


def test_a_figure_of_an_earlier_time_does_not_outlive_its_data(
    table: pd.DataFrame, metrics: ClassifierMetrics, tmp_path: Path
) -> None:
    run = run_folder(tmp_path, table, metrics)
    (run / "figures").mkdir()
    (run / "figures" / "curves.svg").write_text("old")
    for log in run.glob("folds/*/log/*/metrics.csv"):
        log.unlink()
    assert run / "figures" / "curves.svg" not in write_figures(run)
    assert not (run / "figures" / "curves.svg").exists()


def test_a_run_that_is_not_finished_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"run\.json: not there; finish"):
        write_figures(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(DataError, match=r"run\.json: damaged"):
        write_figures(tmp_path)
    write_json(tmp_path / "run.json", {"kind": "toaster"})
    write_json(tmp_path / "metrics.json", {})
    with pytest.raises(DataError, match="'toaster' is neither"):
        write_figures(tmp_path)


# Table 6


def test_table_6_has_a_row_a_fold_their_mean_and_all_films(metrics: ClassifierMetrics, tmp_path: Path) -> None:
    write_json(tmp_path / "metrics.json", metrics.to_json())
    text = table6(tmp_path)
    assert (tmp_path / "table6.md").read_text() == text
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert rows[0] == ["fold", "films", "accuracy %", "sensitivity %", "specificity %", "NPV %", "PPV %"]
    assert [row[0] for row in rows[2:]] == ["0", "1", "2", "3", "mean (SD)", "pooled"]
    second = metrics.folds["1"]
    assert rows[3][1:] == [
        str(second.n),
        *(f"{100 * second.value(name):.2f}" for name in ("accuracy", "sensitivity", "specificity", "npv", "ppv")),
    ]
    mean, pooled = metrics.mean_of_folds["npv"], metrics.pooled
    assert rows[6][5] == f"{100 * mean.mean:.2f} ({100 * mean.sd:.2f})"
    low, high = pooled.accuracy_95_ci
    assert rows[7][2] == f"{100 * pooled.accuracy:.2f} ({100 * low:.2f} to {100 * high:.2f})"
    assert "NPV = TN/(TN+FN)" in text
    back = pd.read_csv(tmp_path / "table6.csv", dtype=str)
    assert back.to_numpy().tolist() == rows[2:]


def test_table_6_of_the_paper_s_tenth_fold_shows_what_its_column_holds() -> None:
    # TP 39, FN 2, TN 50, FP 0: the paper prints 97.80, 95.12 and as "specificity" 96.15.
    truth = ["covid"] * 41 + ["normal"] * 50
    fold = pd.DataFrame({"image_id": [f"{n}" for n in range(91)], "class": truth, "source": "s", "fold": "10"})
    fold["group_id"] = fold["image_id"]
    fold["p_covid"] = [0.9] * 39 + [0.1] * 52
    fold["p_normal"] = 1 - fold["p_covid"]
    row = as_table(metrics_of(fold, TWO)).iloc[0]
    assert row.tolist() == ["10", "91", "97.80", "95.12", "100.00", "96.15", "100.00"]


def test_a_run_without_folds_has_no_table_6(tmp_path: Path) -> None:
    external = predictions(40, TWO).assign(fold="external")
    write_json(tmp_path / "metrics.json", metrics_of(external, TWO).to_json())
    with pytest.raises(DataError, match="no fold was tested"):
        table6(tmp_path)


def test_table_6_shows_a_dash_where_a_fold_defines_nothing(table: pd.DataFrame) -> None:
    changed = table.copy()
    changed.loc[changed["fold"] == "1", "class"] = "normal"
    assert as_table(metrics_of(changed, TWO)).iloc[1]["sensitivity %"] == "-"
