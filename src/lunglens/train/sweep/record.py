"""`sweep.json`: the runs of a sweep, and what is known of the system that each is of."""

from pathlib import Path

from lunglens.errors import LungLensError
from lunglens.evaluate.figures.comparison import printed_of
from lunglens.evaluate.systems.record import SWEEP, Origin, Printed, Swept, SweptRun, read_swept
from lunglens.files import write_record
from lunglens.study.config.sweep import Sweep, SweepRun
from lunglens.study.config.system import SystemFacts
from lunglens.study.config.training import ClassifierConfig
from lunglens.study.folder import load_study

_LITE = "tf_efficientnet_lite"
_OF_THE_PAPER = (
    "Ten folds by image; what its column specificity ({specificity}) holds is told by lunglens compare --paper."
)


def write_swept(sweep: Sweep, out: Path) -> None:
    """Write `sweep.json` into the sweep's folder; a run that cannot begin is left out.

    Runs of other sweeps into the same folder stay in it.

    Raises:
        DataError: the file that is there is damaged.
    """
    before = read_swept(out).runs if (out / SWEEP).exists() else ()
    found = {run.folder: run for run in before if (out / run.folder).exists()}
    for run in sweep.runs():
        try:
            found[run.folder] = _described(run)
        except LungLensError:
            continue  # said where the run is prepared
    write_record(out / SWEEP, Swept(runs=tuple(found.values())))


def _described(run: SweepRun) -> SweptRun:
    config = run.load()
    facts = config.system
    return SweptRun(
        folder=run.folder,
        study=run.study,
        system=run.system,
        label=run.label,
        shown=run.shown,
        seed=run.seed,
        began=began(config.classifier),
        origin=None if facts is None else Origin.model_validate(facts.model_dump()),
        printed=_in_the_paper(config.classifier.backbone) if facts is None else _printed(facts, run),
    )


def began(config: ClassifierConfig) -> str:
    """The weights that a training starts from: none, imagenet, lite or file."""
    if config.pretrained == "imagenet":
        return "lite" if config.backbone.startswith(_LITE) else "imagenet"
    return "none" if config.pretrained == "none" else "file"


def _printed(facts: SystemFacts, run: SweepRun) -> Printed | None:
    found = facts.printed_of(Path(run.config).stem, len(load_study(run.data).classes))
    return None if found is None else Printed.model_validate(found.model_dump())


def _in_the_paper(backbone: str) -> Printed | None:
    """The paper's own row for one of its models, in its table 7."""
    found = printed_of(backbone)
    if found is None:
        return None
    place, accuracy, sensitivity, specificity = found
    meaning = _OF_THE_PAPER.format(specificity=specificity)
    shares = {"accuracy": float(accuracy) / 100, "sensitivity": float(sensitivity) / 100}
    return Printed(setting=place, meaning=meaning, **shares)
