"""Why no film is left: what the films are called, against what the class rules want, and where they went."""

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from lunglens.study.config.study import StudyConfig
from lunglens.study.criteria import misspelt
from lunglens.study.flow import Flow

MOST = 8  # names shown of each source


def why_empty(flow: Flow, config: StudyConfig) -> str:
    """A sentence a matter: the criteria that films went at, diagnoses and labels that there are, near spellings."""
    gone = [f"{step.dropped} at {step.step}" for step in flow.steps if step.dropped]
    lines = [f"no film of a class is left of {len(flow.films)}: {', '.join(gone) or 'no class rule fits any'}"]
    for source, films in flow.films.groupby("source", sort=True):
        kinds = [("diagnoses", films["diagnosis"]), ("labels", films["label"])]
        lines.append(f"{source} has {' and '.join(f'{what} {_counted(cells)}' for what, cells in kinds)}")
    wanted = [f"{rule.name}: {', '.join(rule.diagnoses or rule.labels)}" for rule in config.classes]
    return ". ".join([*lines, f"The class rules want {'; '.join(wanted)}", *misspelt(flow.films, config.classes)])


def _counted(cells: "pd.Series[str]") -> str:
    counts = Counter(cells.fillna("").map(str))
    shown = [f"{name or 'not stated'} ({n})" for name, n in _common(counts.most_common(MOST))]
    return ", ".join(shown + ([f"{len(counts) - MOST} more"] if len(counts) > MOST else []))


def _common(counts: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(counts, key=lambda item: (-item[1], item[0]))
