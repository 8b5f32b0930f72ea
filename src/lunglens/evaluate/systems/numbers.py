"""Every finished run of a sweep in numbers, and held against one of its systems or another model."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from lunglens.errors import DataError
from lunglens.evaluate.calibration import Calibration, calibration
from lunglens.evaluate.compare import holm
from lunglens.evaluate.paired import AurocDifference, auroc_difference
from lunglens.evaluate.predictions import codes_and_scores, groups_of
from lunglens.evaluate.run_record import METRICS, ClassifierRun, Measures, read_classifier_run
from lunglens.evaluate.systems.films import Films, films_of
from lunglens.evaluate.systems.record import SweptRun, read_swept


@dataclass(frozen=True)
class Part:
    """Films of a run (see `Films`), what is measured on them, and AUROC less the reference's on the same films.

    against: None for the reference, where it has not answered for these films, and with more than two classes.
    p_holm: its p, corrected over all rows of the same study and films.
    """

    kind: str
    measures: Measures
    calibration: Calibration
    against: AurocDifference | None = None
    p_holm: float | None = None


@dataclass(frozen=True)
class Row:
    """A run: what it is, its record, and its films in words -> what is measured on them."""

    swept: SweptRun
    run: ClassifierRun
    parts: dict[str, Part]

    def first(self, kind: str) -> Part | None:
        """The first part of a kind."""
        return next((part for part in self.parts.values() if part.kind == kind), None)


@dataclass(frozen=True)
class Systems:
    """The table. reference: label of the system, or folder, that rows are held against. planned: runs there will be."""

    reference: str
    planned: int
    rows: list[Row]


def systems_of(sweep: Path, against: str | None = None) -> Systems:
    """Measure the finished runs of a sweep.

    Args:
        sweep: its folder.
        against: a system of the sweep, whose run on the same study, input and seed each run is compared with, or a
            folder with another model's `predictions.csv` on some of the same films; the sweep's first if not given.

    Raises:
        DataError: no run is finished, one is damaged, or `against` is neither.
    """
    swept = read_swept(sweep)
    done = [one for one in swept.runs if (sweep / one.folder / METRICS).exists()]
    if not done:
        raise DataError(f"{sweep}: none of its {len(swept.runs)} runs is finished; call sweep again")
    records = [read_classifier_run(sweep / one.folder) for one in done]
    films = [films_of(sweep / one.folder, run) for one, run in zip(done, records, strict=True)]
    name = swept.runs[0].system if against is None else against
    answers = _Answers(done, films, name, is_system=name in {one.system for one in swept.runs})
    rows = [
        Row(one, run, {each.words: _part(each, answers.of(one, each)) for each in parts})
        for one, run, parts in zip(done, records, films, strict=True)
    ]
    label = next((one.label for one in swept.runs if one.system == name), Path(name).name)
    return Systems(label, len(swept.runs), _corrected(rows))


class _Answers:
    """What the reference says of films: image_id -> probability of the positive class."""

    def __init__(self, runs: Sequence[SweptRun], films: Sequence[list[Films]], name: str, *, is_system: bool) -> None:
        self._name = name
        self._in_sweep = {
            (run.study, run.shown, run.seed, each.words): _answers(each.table, each.classes[0])
            for run, parts in zip(runs, films, strict=True)
            for each in parts
            if run.system == name
        }
        self._elsewhere = None if is_system else _read_answers(Path(name))

    def of(self, run: SweptRun, films: Films) -> pd.Series | None:
        """None for the reference's own runs, and where it has none."""
        if self._elsewhere is not None:
            return self._elsewhere.get(f"p_{films.classes[0]}")
        return None if run.system == self._name else self._in_sweep.get((run.study, run.shown, run.seed, films.words))


def _read_answers(folder: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(folder / "predictions.csv", dtype={"image_id": str}).set_index("image_id")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{folder}: neither a system of the sweep nor a folder with predictions.csv ({error}); see its sweep.json"
        ) from error


def _answers(table: pd.DataFrame, positive: str) -> pd.Series:
    return table.set_index("image_id")[f"p_{positive}"]


def _part(films: Films, reference: pd.Series | None) -> Part:
    truth, scores = codes_and_scores(films.table, films.classes)
    difference = None
    if reference is not None and len(films.classes) == 2 and set(films.table["image_id"]) <= set(reference.index):
        theirs = reference.loc[films.table["image_id"]].to_numpy(float)
        difference = auroc_difference(truth == 0, scores[:, 0], theirs, groups_of(films.table))
    return Part(films.kind, films.measures, calibration(truth, scores), difference)


def _corrected(rows: Sequence[Row]) -> list[Row]:
    """The rows with Holm's correction over all rows of the same study and films."""
    families: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for place, row in enumerate(rows):
        for words, part in row.parts.items():
            if part.against is not None and part.against.p is not None:
                families[row.swept.study, words].append((place, part.against.p))
    found = [dict(row.parts) for row in rows]
    for (_, words), family in families.items():
        for (place, _), p in zip(family, holm([p for _, p in family]), strict=True):
            found[place][words] = replace(found[place][words], p_holm=p)
    return [replace(row, parts=parts) for row, parts in zip(rows, found, strict=True)]
