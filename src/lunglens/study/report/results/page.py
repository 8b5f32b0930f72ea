"""`report/results.html` of a study: one page over its runs. It may show patients' films: keep it private."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lunglens.evaluate.figures.classifier import SHOWN
from lunglens.evaluate.printed_tables_report import paper_inconsistencies
from lunglens.evaluate.run_record import StudyName
from lunglens.files import read_json, write_bytes, write_json
from lunglens.study.report.page import write_study_report
from lunglens.study.report.pages import data_uri, environment
from lunglens.study.report.results.differences import differences
from lunglens.study.report.results.numbers import (
    FACTS,
    ClassifierResult,
    LungsResult,
    Numbers,
    asked_of,
    check_study,
    folds_rows,
    headline,
    lungs_rows,
    measures_rows,
    read_classifier_result,
    read_lungs_result,
    run_row,
)

_FIGURES = ("gap", "reliability", "confusion", "roc", "precision-recall", "curves")


@dataclass(frozen=True)
class Inputs:
    """Folders that the page puts together, each optional.

    runs: of `crossval classifier` on the study. controls: the same on other studies, where source and class do not
    coincide. lungs: of `crossval lungs`. compared: of `lunglens compare`. heat: of `lunglens explain`.
    """

    runs: tuple[Path, ...] = ()
    controls: tuple[Path, ...] = ()
    lungs: tuple[Path, ...] = ()
    compared: Path | None = None
    heat: Path | None = None


def write_results_report(study: Path, inputs: Inputs) -> Path:
    """Write the data report, then `report/results.html` and `report/results.json`; returns the page.

    Raises:
        DataError: a folder is no finished run of its kind.
    """
    data = read_json(write_study_report(study).with_suffix(".json"), "make it again with report")
    fingerprint = data["study"]["fingerprint"]
    runs = [read_classifier_result(path, fingerprint) for path in inputs.runs]
    controls = [read_classifier_result(path) for path in inputs.controls]
    compared = _of_study(inputs.compared, "comparison.json", "compare", fingerprint)
    heat = _of_study(inputs.heat, "heat.json", "explain", fingerprint)
    lungs = [read_lungs_result(path) for path in inputs.lungs]
    classifiers = [*runs, *controls]
    films = " + ".join(f"{n} {name}" for name, n in data["per_class"].items())
    results: list[ClassifierResult | LungsResult] = [*classifiers, *lungs]
    of_paper = any("covid" in name.casefold() for name in data["per_class"])  # else it is no measure for the study
    numbers = {
        "format": 1,
        "study": data["study"],
        "data": {"images": data["images"], "per_class": data["per_class"], "groups": data["groups"]},
        "headline": headline(data, runs, controls),
        "summary": [run_row(run) for run in classifiers],
        "runs": [_described(run) for run in classifiers],
        "lungs": [{"name": run.folder.name, "rows": lungs_rows(run), **_facts(run)} for run in lungs],
        "compared": compared,
        "heat": heat,
        "differences": differences(films, [(run.folder.name, run.about) for run in results]) if of_paper else [],
    }
    page = study / "report" / "results.html"
    write_json(page.with_suffix(".json"), numbers)
    write_bytes(page, _render(numbers, data, inputs).encode())
    return page


def _of_study(folder: Path | None, name: str, verb: str, fingerprint: str) -> Any:
    """The content of a file of a folder, if there is one, that must be of the study."""
    if folder is None:
        return None
    content = read_json(folder / name, f"make it again with {verb}")
    check_study(folder, StudyName.model_validate(content["study"]), fingerprint)
    return content


def _described(run: ClassifierResult) -> Numbers:
    tables = {"measures": measures_rows(run), "folds": folds_rows(run), **asked_of(run)}
    return {"name": run.folder.name, **tables, **_facts(run)}


def _facts(run: ClassifierResult | LungsResult) -> Numbers:
    about = run.about.to_json()
    return {"facts": {name: about[name] for name in FACTS if name in about}, "config": about["config"]}


def _render(numbers: Numbers, data: Numbers, inputs: Inputs) -> str:
    template = environment(__package__).get_template("results.html.jinja")
    return template.render(
        **numbers,
        words=data["words"],
        flow=data["flow"],
        shares=SHOWN,
        pictures=_pictures(inputs),
        inconsistencies=paper_inconsistencies(),
    )


def _pictures(inputs: Inputs) -> dict[str, Any]:
    found: dict[str, Any] = {
        "runs": [
            {name: data_uri(run / "figures" / f"{name}.svg") for name in _FIGURES}
            for run in (*inputs.runs, *inputs.controls)
        ],
        "lungs": [
            {name: data_uri(run / "figures" / f"{name}.svg") for name in ("dice", "curves")}
            | {"worst": data_uri(run / "worst" / "worst-20.png")}
            for run in inputs.lungs
        ],
    }
    if inputs.compared is not None:
        names = ("measures", "confusion")
        found["compared"] = {name: data_uri(inputs.compared / "figures" / f"{name}.svg") for name in names}
    if inputs.heat is not None:
        found["heat"] = {"shares": data_uri(inputs.heat / "heat.svg"), "cases": data_uri(inputs.heat / "cases.png")}
    return found
