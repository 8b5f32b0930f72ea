"""The films on their way through the criteria: who is left, who went at which step and why, the count of every step."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from lunglens.study.config.study import StudyConfig
from lunglens.study.criteria import Verdict, misspelt
from lunglens.study.folder import Step
from lunglens.study.sources.registry import Problems

NO_CLASS = "none of the classes"
_MOST_NAMES = 8  # of the diagnoses and labels of a source, shown where a class is empty


@dataclass
class Flow:
    """All films that were read, and what the criteria have said of them; `apply` alone changes anything.

    films: a row a film, with the columns `step` and `reason` ("" while it is in) and `ties`, whether it ties others.
    """

    films: pd.DataFrame
    config: StudyConfig
    problems: Problems
    steps: list[Step] = field(default_factory=list)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Every film is in."""
        self.films = self.films.assign(step="", reason="", ties=True)

    @property
    def left(self) -> pd.DataFrame:
        """The films that no criterion has dropped."""
        return self.films[self.films["step"] == ""]

    @property
    def tying(self) -> pd.DataFrame:
        """The films that say who belongs together: those left, and those that went as copies, say."""
        return self.films[self.films["ties"]]

    @property
    def dropped(self) -> pd.DataFrame:
        """A row a dropped film: path, source, class, step, reason."""
        gone = self.films[self.films["step"] != ""].drop(columns="path").rename(columns={"image": "path"})
        return gone[["path", "source", "class", "step", "reason"]].sort_values(["step", "path"], ignore_index=True)

    def apply(self, kind: str, verdict: Verdict, scope: Sequence[str] = ()) -> Step:
        """Take a verdict; films that are out already stay as they are. Returns the step, counted."""
        if verdict.learned is not None:
            for column in verdict.learned:
                self.films.loc[verdict.learned.index, column] = verdict.learned[column]
        rows = self.left.index.intersection(verdict.reasons.index)
        gone = verdict.reasons[rows][verdict.reasons[rows] != ""]
        name = f"{len(self.steps)} {kind}"
        self.films.loc[gone.index, "step"] = name
        self.films.loc[gone.index, "reason"] = gone
        self.films.loc[gone.index, "ties"] = verdict.ties
        self.tables |= verdict.tables
        self.problems.extend(verdict.problems)
        words = verdict.words + (f" ({', '.join(scope)})" if scope else "")
        unknown = 0 if verdict.unknown_kept is None else int(verdict.unknown_kept[rows].sum())
        step = Step(step=name, kind=kind, words=words, kept=self._kept(), dropped=len(gone), unknown_kept=unknown)
        self.steps.append(step)
        return step

    def _kept(self) -> dict[str, dict[str, int]]:
        kept: dict[str, dict[str, int]] = {}
        for name in [*self.config.class_names, ""]:
            sizes = self.left.loc[self.left["class"] == name, "source"].value_counts().sort_index()
            of_class = {str(source): int(n) for source, n in sizes.items()}
            if of_class or name:
                kept[name or NO_CLASS] = of_class
        return kept


def empty_classes(flow: Flow) -> str | None:
    """What to tell when a class has no film left: a sentence a matter; None where each class has some.

    Where the films went, the diagnoses and labels that there are, what the class rules want, and near spellings.
    """
    empty = [name for name in flow.config.class_names if not (flow.left["class"] == name).any()]
    if not empty:
        return None
    gone = [f"{step.dropped} at {step.step}" for step in flow.steps if step.dropped]
    lines = [
        f"no film of class {', '.join(empty)} is left; of {len(flow.films)} films went {', '.join(gone) or 'none'}."
    ]
    for source, films in flow.films.groupby("source", sort=True):
        diagnoses, labels = _counted(films["diagnosis"]), _counted(films["label"])
        lines.append(f"{source} has diagnoses {diagnoses} and labels {labels}.")
    return " ".join(
        [*lines, f"The class rules want {_wanted(flow.config)}.", *misspelt(flow.films, flow.config.classes)]
    )


def _wanted(config: StudyConfig) -> str:
    return "; ".join(f"{rule.name}: {', '.join(rule.diagnoses or rule.labels)}" for rule in config.classes)


def _counted(cells: "pd.Series[str]") -> str:
    counts = sorted(Counter(cells.fillna("not stated").map(str)).items(), key=lambda item: (-item[1], item[0]))
    more = [f"{len(counts) - _MOST_NAMES} more"] if len(counts) > _MOST_NAMES else []
    return ", ".join([*(f"{name} ({n})" for name, n in counts[:_MOST_NAMES]), *more])
