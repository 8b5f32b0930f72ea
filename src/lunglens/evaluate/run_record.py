"""What a run folder's `run.json` and `metrics.json` hold (format 1), each read and written through these records."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lunglens import files
from lunglens.errors import DataError
from lunglens.files import read_json, read_record
from lunglens.film.parameters import Postprocess

RUN, METRICS = "run.json", "metrics.json"
FINISH = "finish the run with crossval"
Interval = list[float] | None  # 95 %, both ends


class Record(files.Record, extra="forbid"):
    """A part of such a file; what it does not know it does not take."""

    def to_json(self) -> dict[str, Any]:
        """As it is written: keys that were not given are left out."""
        return self.model_dump(mode="json", exclude_unset=True)


class StudyName(Record):
    """Which study, and in which state of its films."""

    name: str
    fingerprint: str


class Hardware(Record):
    """The machine of a run."""

    machine: str
    cores: int | None
    gpus: list[str]


class _Run(Record):
    """config: the settings, as TOML names them. folds: names, in order. date: the day it was begun."""

    format: Literal[1]
    model: str
    config: dict[str, Any]
    folds: list[str]
    seed: int
    date: str
    versions: dict[str, str]
    hardware: Hardware


class ClassifierRun(_Run):
    """`run.json` of `crossval classifier`.

    cut: the films are cut to the lungs. unseen: the study that every fold's model was tested on besides.
    parameters, gflops, cpu_ms (of one film): known once the run is finished. draws, train_seconds: films drawn and time
    spent to train one fold, their mean; known of runs of a sweep. postprocess: by which the films' masks were made.
    averaged: of a run that `lunglens average` made, the configurations of those it is the mean of; `config` is the
    first's.
    """

    kind: Literal["classifier"]
    study: StudyName
    classes: list[str]
    cut: bool
    parameters: int | None = None
    gflops: float | None = None
    cpu_ms: float | None = None
    draws: int | None = None
    train_seconds: float | None = None
    unseen: StudyName | None = None
    postprocess: Postprocess = Postprocess()
    averaged: list[dict[str, Any]] = Field([])

    @property
    def is_finished(self) -> bool:
        """Whether all its folds have been put together."""
        return None not in (self.parameters, self.gflops, self.cpu_ms)


class LungsRun(_Run):
    """`run.json` of `crossval lungs`. data: fingerprint of the films. folding: how they were folded."""

    kind: Literal["lungs"]
    data: str
    folding: dict[str, Any]


class MeanOfFolds(Record):
    """Mean and standard deviation (n - 1) over the folds that define a measure, and how many those are."""

    mean: float | None
    sd: float | None
    folds: int


class _OneClass(Record):
    """Measures of one class against the rest, 0..1; `undefined` says why one, or its interval, is None.

    An interval is given where measures were asked for with a seed.
    """

    sensitivity: float | None
    sensitivity_95_ci: Interval = None
    specificity: float | None
    specificity_95_ci: Interval = None
    ppv: float | None
    ppv_95_ci: Interval = None
    npv: float | None
    npv_95_ci: Interval = None
    f1: float | None
    f1_95_ci: Interval = None
    auroc: float | None
    auroc_95_ci: Interval = None
    auprc: float | None
    auprc_95_ci: Interval = None
    undefined: dict[str, str]

    def value(self, name: str) -> float | None:
        """A measure by its name."""
        value: float | None = getattr(self, name)
        return value

    def interval(self, name: str) -> Interval:
        """The interval of a measure by its name."""
        interval: Interval = getattr(self, f"{name}_95_ci")
        return interval


class Measures(_OneClass):
    """Measures of a set of films; with more than two classes those of one class are means over the classes.

    groups: patients. without_group: films of unknown patients, each a group. classes: films of each. confusion: rows
    are true classes, columns those called. one_vs_rest: of more than two classes, each.
    """

    n: int
    groups: int
    without_group: int
    classes: dict[str, int]
    confusion: list[list[int]]
    accuracy: float | None
    accuracy_95_ci: Interval = None
    balanced_accuracy: float | None
    balanced_accuracy_95_ci: Interval = None
    one_vs_rest: dict[str, _OneClass] | None = None


class ClassifierMetrics(Record):
    """`metrics.json` of `crossval classifier`; see `classification.metrics_of`."""

    classes: list[str]
    threshold: float | None
    folds: dict[str, Measures]
    mean_of_folds: dict[str, MeanOfFolds]
    pooled: Measures | None
    by_source: dict[str, Measures]
    external: dict[str, Measures]


class Summary(Record):
    """A measure of lungs over films; all None where no film has it, for the reason in `undefined`.

    worst_twentieth_mean: of the films with the smallest values; of overlaps alone.
    """

    n: int
    mean: float | None
    sd: float | None
    minimum: float | None
    percentile_5: float | None
    median: float | None
    percentile_95: float | None
    maximum: float | None
    worst_twentieth_mean: float | None = None
    mean_95_ci: Interval = None
    undefined: str | None = None


class Expected(Record):
    """How well a network's expected Dice (`film.lungs.doubt`) tells the true one; see `evaluate.expected_dice`.

    poor: films of a Dice below 0.9. auroc: of telling these from the others. doubtful_below: expected Dice at which 0.9
    is to be expected.
    """

    n: int
    poor: int
    pearson: float | None
    auroc: float | None
    doubtful_below: float | None


class LungMeasures(Record):
    """Lungs of a set of films against the true ones: overlap 0..1, distances in pixels of 512 x 512 and in mm.

    covered: share of the true lungs that is found. inside: share of what is found that is true. Runs of 0.1.0 have
    neither, and no expected Dice.
    """

    n: int
    groups: int
    dice: Summary
    iou: Summary
    covered: Summary | None = None
    inside: Summary | None = None
    hd95_px: Summary
    assd_px: Summary
    hd95_mm: Summary
    assd_mm: Summary
    expected: Expected | None = None

    def summary(self, name: str) -> Summary:
        """A measure by its name."""
        summary: Summary = getattr(self, name)
        return summary


class Gain(Record):
    """What post-processing changes in a measure; see `segmentation.gain`."""

    n: int
    raw_mean: float | None
    mean: float | None
    change: float | None
    change_95_ci: Interval
    verdict: Literal["helps", "hurts", "undecided"]
    undefined: str | None = None


class LungMetrics(Record):
    """`metrics.json` of `crossval lungs`; see `segmentation.lung_metrics_of`.

    by_rule: rule of the masks -> "all" or a source -> films tested out of fold. All but this, by_source and external is
    of the fields, where a run has masks of both rules.
    """

    folds: dict[str, LungMeasures]
    mean_of_folds: dict[str, MeanOfFolds]
    pooled: LungMeasures | None
    by_source: dict[str, LungMeasures]
    external: dict[str, LungMeasures]
    by_rule: dict[str, dict[str, LungMeasures]] = Field({})
    post_processing: dict[str, Gain]


def read_run(folder: Path) -> ClassifierRun | LungsRun:
    """`run.json` of a run folder.

    Raises:
        DataError: it is missing, damaged, of another format or of another kind.
    """
    about = read_json(folder / RUN, FINISH)
    kind = about.get("kind") if isinstance(about, dict) else None
    if kind == "classifier":
        return read_record(folder / RUN, ClassifierRun, FINISH)
    if kind == "lungs":
        return read_record(folder / RUN, LungsRun, FINISH)
    raise DataError(f"{folder / RUN}: kind {kind!r} is neither classifier nor lungs")


def read_classifier_run(folder: Path) -> ClassifierRun:
    """`run.json` of a finished run of `crossval classifier`.

    Raises:
        DataError: it is missing, damaged, not finished or a run on lungs.
    """
    run = read_run(folder)
    if not isinstance(run, ClassifierRun):
        raise DataError(f"{folder}: a run of kind 'lungs', not classifier")
    if not run.is_finished:
        raise DataError(f"{folder}: the run is not finished; start the same crossval again")
    return run


def read_classifier_metrics(folder: Path) -> ClassifierMetrics:
    """`metrics.json` of a run of a classifier; DataError where it is missing, damaged or another."""
    return read_record(folder / METRICS, ClassifierMetrics, FINISH)


def read_lung_metrics(folder: Path) -> LungMetrics:
    """`metrics.json` of a run on lungs; DataError where it is missing, damaged or another."""
    return read_record(folder / METRICS, LungMetrics, FINISH)
