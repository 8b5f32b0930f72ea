"""The audit's numbers of every run of `lunglens sweep cures`, side by side, as JSON.

    python tools/audit_cures.py RUNS STUDIES [--brixia BRIXIA] --out results/cures/audit.json

RUNS: the sweep's folder. STUDIES: where its studies lie, by name. BRIXIA: covid-chestxray-dataset's table of scores.
Only tests that ask the trained network: T7 the source told by its features, T9 within one source, T10 edits, T11 heat;
the others say the same of every cure, for they ask the study.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from lunglens.evaluate.audit.probe import source_probe
from lunglens.evaluate.audit.record import AuditTest
from lunglens.evaluate.audit.tables import within_sources
from lunglens.evaluate.predictions import cross_validated, read_predictions
from lunglens.evaluate.systems.record import read_swept
from lunglens.files import write_json
from lunglens.study.folder import Study, load_study
from lunglens.train.audit.films import Annotations, counterfactuals, heat_evidence
from lunglens.train.audit.models import AuditedRun, features_of, read_audited
from lunglens.train.provenance import today

SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("studies", type=Path)
    parser.add_argument("--brixia", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    found, console = {}, Console(stderr=True)
    for swept in read_swept(arguments.runs).runs:
        study = load_study(arguments.studies / swept.study)
        run = read_audited(arguments.runs / swept.folder, study)
        console.print(swept.folder)
        tests = _tests(study, run, Annotations(arguments.brixia), console)
        found[swept.folder] = {test.test: test.model_dump(mode="json") for test in tests}
    write_json(arguments.out, {"date": today(), "seed": SEED, "runs": found})


def _tests(study: Study, run: AuditedRun, annotations: Annotations, console: Console) -> Iterator[AuditTest]:
    if (features := features_of(run)) is not None:
        yield source_probe(features, run.table, run.groups, study.classes, SEED)
    two = [name for name in study.classes if name != "normal"]  # of three classes, COVID-19 against other pneumonia
    predictions = cross_validated(read_predictions(run.folder / "predictions.csv", study.classes))
    yield within_sources(predictions[predictions["class"].isin(two)], two, SEED)
    films = study.table.set_index("image_id").loc[run.table["image_id"]].reset_index()
    yield counterfactuals(study, run, films, SEED, console)
    yield heat_evidence(study, run.folder, annotations, SEED, console)


if __name__ == "__main__":
    main()
