"""What the small trainings of T12 know of the source, and how alike they serve sources."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lunglens.evaluate.audit.probe import source_probe
from lunglens.evaluate.audit.record import AuditTest
from lunglens.evaluate.audit.retrained import TAUGHT, Retrained
from lunglens.evaluate.audit.short import short_test, source_gap
from lunglens.evaluate.predictions import read_predictions
from lunglens.study.folder import Study
from lunglens.train.audit.models import features_of, read_audited


def source_taught(study: Study, out: Path, found: Mapping[str, Retrained], seed: int) -> AuditTest:
    """T12 of the trainings that `retrain` has left in `out`."""
    points: list[dict[str, Any]] = []
    for name, scale in TAUGHT.items():
        if name not in found or found[name].pooled is None:
            continue
        run = read_audited(out / name, study)
        features, pooled = features_of(run), found[name].pooled
        if features is None or pooled is None:
            continue
        probe = source_probe(features, run.table, run.groups, study.classes, seed)
        gap = source_gap(read_predictions(out / name / "predictions.csv", study.classes), study.classes)
        points.append({"scale": scale, "told": probe.number, "gap": gap, "auroc": pooled.auroc})
    return short_test(points)
