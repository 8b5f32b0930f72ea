"""Why a class has no films: what the films are called, against what the class rules want, and where they went."""

from collections import Counter

import pandas as pd

from lunglens.study.config.study import StudyConfig
from lunglens.study.criteria import misspelt
from lunglens.study.flow import Flow

_MOST_NAMES = 8  # shown of each source


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
