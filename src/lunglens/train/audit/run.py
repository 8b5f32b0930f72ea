"""`lunglens audit`: twelve tests of a study and of a run on it, each with a number, a verdict and a sentence."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console

from lunglens.errors import DataError
from lunglens.evaluate.audit import tables
from lunglens.evaluate.audit.alike import subgroups
from lunglens.evaluate.audit.pixels import shape_test, thumbnail_test
from lunglens.evaluate.audit.probe import NAME as PROBE
from lunglens.evaluate.audit.probe import source_probe
from lunglens.evaluate.audit.record import AUDIT, Audit, AuditTest, not_done
from lunglens.evaluate.audit.retrained import BLACKOUT, CENTRE, RIM, hidden_test, source_left_out
from lunglens.evaluate.confounding import audit_confounding
from lunglens.evaluate.predictions import cross_validated, read_predictions
from lunglens.evaluate.run_record import read_classifier_metrics
from lunglens.files import write_record
from lunglens.film.preprocess import Floats, seen
from lunglens.study.folder import Study
from lunglens.study.report.audit.page import EDITS
from lunglens.train.audit.films import Annotations, counterfactuals, draw_edits, heat_evidence, small_films
from lunglens.train.audit.models import AuditedRun, features_of, read_audited
from lunglens.train.audit.retrain import retrain, variants_of
from lunglens.train.audit.short import source_taught
from lunglens.train.crossval.run_folder import Runner
from lunglens.train.provenance import today
from lunglens.train.views import read_views

RETRAINED = "retrained"


def audit_run(
    study: Study, run: Path, out: Path, annotations: Annotations, runner: Runner, console: Console, seed: int = 0
) -> Audit:
    """Make every test that can be made of a study and a run on it, and write `audit.json`.

    Args:
        study: of two classes.
        run: a finished run of `crossval classifier` on it.
        out: gets the file, and the small trainings of T4, T5 and T8, which go on where they were stopped.
        annotations: of radiologists, for T11.
        runner: runs these trainings.
        console: for progress.
        seed: of samples and intervals.

    Raises:
        DataError: it is no finished cross-validation of this study, or one of more than two classes.
        FoldsFailedError: a small training failed.
    """
    audited = read_audited(run, study)
    if len(study.classes) != 2:
        raise DataError(f"{study.folder}: has {len(study.classes)} classes; the audit is of two")
    tests = [
        *_tests(study, audited, out, annotations, console, seed),
        *_retrained(study, audited, out / RETRAINED, runner, console, seed),
    ]
    pooled = read_classifier_metrics(run).pooled
    view = audited.config.view
    found = Audit(
        study=study.name,
        fingerprint=study.fingerprint,
        run=run.name,
        model=audited.about.model,
        shown="lungs only" if view.cut else "surroundings" if view.blackout else "whole film",
        auroc=None if pooled is None else pooled.auroc,
        auroc_95_ci=None if pooled is None else pooled.auroc_95_ci,
        date=today(),
        seed=seed,
        tests=tuple(sorted(tests, key=lambda test: int(test.test[1:]))),
    )
    write_record(out / AUDIT, found)
    return found


def _tests(
    study: Study, run: AuditedRun, out: Path, annotations: Annotations, console: Console, seed: int
) -> Iterator[AuditTest]:
    """Those that train no network."""
    classes, films = study.classes, study.table.set_index("image_id").loc[run.table["image_id"]].reset_index()
    confounding = audit_confounding(films.assign(group_id=run.table["group_id"]), classes, seed)
    yield tables.source_by_class(confounding)
    yield tables.metadata(confounding)
    predictions = cross_validated(read_predictions(run.folder / "predictions.csv", classes)).set_index("image_id")
    predictions = predictions.loc[run.table["image_id"]].reset_index()
    yield tables.within_sources(predictions, classes, seed)
    yield subgroups(predictions, films, classes, seed)
    pictures, masks = small_films(study, films, console)
    target, folds, groups = run.target, run.folds, run.groups
    yield thumbnail_test({"whole film": pictures, "run's view": _seen(run)}, target, folds, groups, seed)
    yield shape_test(masks, target, folds, groups, seed)
    features = features_of(run)
    yield (
        not_done("T7", PROBE, f"{run.about.model} has no network whose features could be probed.")
        if features is None
        else source_probe(features, run.table, groups, classes, seed)
    )
    yield counterfactuals(study, run, films, seed, console)
    draw_edits(study, run, films, seed, out / EDITS)
    yield heat_evidence(study, run.folder, annotations, seed, console)


def _retrained(
    study: Study, run: AuditedRun, out: Path, runner: Runner, console: Console, seed: int
) -> Iterator[AuditTest]:
    found = retrain(study, run.config, variants_of(run.config), out, runner, console)
    yield hidden_test("T4", "Lungs blacked out, retrained", found, (BLACKOUT,))
    yield hidden_test("T5", "Rim only; black square over the centre", found, (RIM, CENTRE))
    yield source_left_out(found)
    yield source_taught(study, out, found, seed)


def _seen(run: AuditedRun) -> list[Floats]:
    """What the run's networks see of each film."""
    views = read_views(run.folder)
    return [
        seen(views.images[row].astype(np.float32) / np.float32(255), views.masks[row] > 0, run.config.view)
        for row in run.table["row"]
    ]
