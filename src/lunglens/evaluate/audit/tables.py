"""Tests of the audit that look at no pixel: T1 source by class, T2 metadata, T9 within one source."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lunglens.evaluate.audit.record import VERDICTS, AuditTest, Verdict, not_done
from lunglens.evaluate.audit.verdict import LOST, level, verdict_of_auc
from lunglens.evaluate.classification import auc
from lunglens.evaluate.confounding import Confounding, Guess
from lunglens.evaluate.intervals import bootstrap
from lunglens.evaluate.predictions import groups_of
from lunglens.evaluate.subgroups import FEWEST

_V = {"doubt": 0.2, "shortcut": 0.5}
_ALONE = {"doubt": 0.1, "shortcut": 0.9}  # share of films whose source holds one class


def source_by_class(audit: Confounding) -> AuditTest:
    """T1: does the source say the class?"""
    v, alone = audit.association.corrected, audit.share_single_class
    rows = tuple(
        {"source": str(source)} | {str(k): int(n) for k, n in row.items()} for source, row in audit.table.iterrows()
    )
    if v is None:
        return AuditTest(
            test="T1", name="Source by class", verdict="clear", sentence="All films are of one source.", rows=rows
        )
    return AuditTest(
        test="T1",
        name="Source by class",
        what="Cramer's V of source and class, bias-corrected",
        number=round(v, 4),
        verdict=max(level(v, _V), level(alone, _ALONE), key=VERDICTS.index),
        sentence=f"{alone:.0%} of the films come from a source that holds one class only.",
        rows=rows,
    )


def metadata(audit: Confounding) -> AuditTest:
    """T2: what the file and the table say of a film, without looking at it."""
    name, found = "Metadata alone", audit.metadata
    if found.file.auc is None:
        constant = found.file.why_not or ""
        if "same for every" in constant:
            return AuditTest(test="T2", name=name, verdict="clear", sentence=f"What files say {constant}.")
        return not_done("T2", name, constant)
    interval = None if found.file.auc_95_ci is None else list(found.file.auc_95_ci)
    worst = found.worst
    alone = "" if worst is None or worst.auc is None else f" {worst.features[0]} alone: {worst.auc:.3f}."
    return AuditTest(
        test="T2",
        name=name,
        what="AUROC of trees on size, shape, bits, border and view",
        number=found.file.auc,
        interval=interval,
        verdict=verdict_of_auc(found.file.auc, interval),
        sentence=f"Size, shape, bits, border and view tell the class with an AUROC of {found.file.auc:.3f}.{alone}",
        rows=tuple(_guess_row(guess) for guess in (found.file, found.stated, found.patient, *found.alone)),
    )


def within_sources(predictions: pd.DataFrame, classes: Sequence[str], seed: int) -> AuditTest:
    """T9: inside a source of both classes no source can be recognised; what is left of the score there?

    Args:
        predictions: out of fold, of two classes.
        classes: the first is positive.
        seed: of the bootstrap.
    """
    name = "Within one source"
    whole, _ = _area(predictions, classes, seed)
    rows: list[dict[str, Any]] = []
    for source, films in predictions.groupby("source", sort=True):
        n = [int((films["class"] == label).sum()) for label in classes]
        if min(n) >= FEWEST:
            value, interval = _area(films, classes, seed)
            rows.append({"source": str(source), "n": n, "auroc": value, "auroc_95_ci": interval})
    if not rows:
        return not_done(
            "T9", name, f"No source has {FEWEST} films of both classes: nothing can be said of the disease alone."
        )
    worst = min(rows, key=lambda row: row["auroc"])
    lost = whole - worst["auroc"]
    upper = worst["auroc_95_ci"]
    verdict: Verdict = "clear" if upper is None or upper[1] >= whole else level(lost, LOST)
    return AuditTest(
        test="T9",
        name=name,
        what=f"AUROC inside {worst['source']}, the worst of them",
        number=worst["auroc"],
        interval=upper,
        verdict=verdict,
        sentence=f"Over all sources {whole:.3f}, inside {worst['source']} {worst['auroc']:.3f}: "
        f"{lost:+.3f} of it is lost where the source is the same for both classes.",
        rows=tuple(rows),
    )


def _area(films: pd.DataFrame, classes: Sequence[str], seed: int) -> tuple[float, list[float] | None]:
    positive = (films["class"] == classes[0]).to_numpy(int)
    score = films[f"p_{classes[0]}"].to_numpy(float)
    bounds = bootstrap(lambda rows: auc(positive[rows], score[rows]), groups_of(films), seed)
    return round(auc(positive, score), 4), bounds


def _guess_row(guess: Guess) -> dict[str, Any]:
    words = ", ".join(guess.features)
    return {
        "told by": words,
        "auroc": guess.auc,
        "auroc_95_ci": guess.auc_95_ci and list(guess.auc_95_ci),
        "why not": guess.why_not,
    }
