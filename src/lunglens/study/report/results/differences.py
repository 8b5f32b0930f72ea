"""How a study and its runs differ from the paper: settings against the paper's, key by key, and what is always so."""

from collections.abc import Sequence
from typing import Any

from lunglens.evaluate.run_record import ClassifierRun, LungsRun
from lunglens.study.config.training import ClassifierConfig, LungsConfig
from lunglens.study.report.paper import PAPER_RESULT

_ALWAYS = (
    (
        "Folds",
        "stratified 9 : 1 by image, as far as the paper says",
        "stratified by class and source, every patient on one side",
    ),
    (
        "Specificity",
        "table 6 prints TN/(TN+FN), the negative predictive value, under this name",
        "TN/(TN+FP); NPV and PPV stand beside it",
    ),
    (
        "Uncertainty",
        "none",
        "95 % bootstrap intervals by patient (by film where the patient is unknown), for every figure",
    ),
    ("Films of other collections", "not tested", "tested by every fold's model where a study was kept apart for it"),
    ("Learning rate steps", "at epochs 30, 60 and 90 of 25: none happens", "as configured"),
)
# Set by the study.
_NOT_COMPARED = ("positive", "negative", "split", "sources")


def differences(study: str, runs: Sequence[tuple[str, ClassifierRun | LungsRun]]) -> list[dict[str, Any]]:
    """Rows of what differs: what, the paper, here, and the names of the runs that it is of ("" where of all).

    Args:
        study: the study's counts in words, such as "416 covid + 398 non-covid".
        runs: name and `run.json` of each run.
    """
    rows = [{"what": "Films", "paper": PAPER_RESULT, "here": study, "runs": ""}]
    rows += [{"what": what, "paper": paper, "here": here, "runs": ""} for what, paper, here in _ALWAYS]
    found: dict[tuple[str, str, str], list[str]] = {}
    for name, run in runs:
        paper = (LungsConfig() if run.kind == "lungs" else ClassifierConfig()).model_dump(mode="json")
        paper["optimization"]["precision"] = "32-true"  # our default is chosen by machine, every run says which it had
        for key, (printed, here) in _changed(paper, run.config).items():
            found.setdefault((f"{run.kind}: {key}", printed, here), []).append(name)
    of_kind = {kind: sum(run.kind == kind for _, run in runs) for kind in ("lungs", "classifier")}
    for (what, printed, here), names in found.items():
        everywhere = len(names) == of_kind[what.partition(":")[0]]
        rows.append({"what": what, "paper": printed, "here": here, "runs": "" if everywhere else ", ".join(names)})
    return rows


def _changed(paper: dict[str, Any], here: dict[str, Any], prefix: str = "") -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for key, value in here.items():
        if key in _NOT_COMPARED:
            continue
        if isinstance(value, dict):
            found |= _changed(paper[key], value, f"{prefix}{key}.")
        elif value != paper.get(key):
            found[f"{prefix}{key}"] = _words(paper.get(key)), _words(value)
    return found


def _words(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return (" to " if len(value) == 2 else ", ").join(map(str, value))
    return str(value)
