"""Tests of the audit on small networks that were shown less: T4 no lungs, T5 the rim, T8 a source they never saw."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lunglens.evaluate.audit.record import AuditTest, Verdict, not_done
from lunglens.evaluate.audit.verdict import LOST, level, verdict_of_auc
from lunglens.evaluate.run_record import ClassifierMetrics, Measures

FILM, BLACKOUT, RIM, CENTRE, SOURCES = "film", "blackout", "rim", "centre", "sources"
# Gradient of a head that names the source, as a share of its own, that reaches the trunk.
TAUGHT: Mapping[str, float] = {"source-against": -1.0, FILM: 0.0, "source-weak": 0.3, "source-taught": 1.0}
_WORDS = {
    FILM: "the whole film",
    BLACKOUT: "the film with its lungs black",
    RIM: "the rim, a tenth of the side on each edge",
    CENTRE: "the film behind a black square of half its side",
}


@dataclass(frozen=True)
class Retrained:
    """metrics: of one small training, out of fold; None where there was none, for the reason in `why_not`."""

    metrics: ClassifierMetrics | None
    why_not: str

    @property
    def pooled(self) -> Measures | None:
        """Over the films of all folds."""
        return None if self.metrics is None else self.metrics.pooled


def hidden_test(test: str, name: str, found: Mapping[str, Retrained], variants: tuple[str, ...]) -> AuditTest:
    """T4 and T5: what a network that was shown no lungs still tells, beside the same network on whole films.

    Args:
        test, name: of the test.
        found: variant -> its training.
        variants: those of this test; the best of them counts.
    """
    if why_not := _learned_nothing(found[FILM]):
        return not_done(test, name, why_not)
    rows: list[dict[str, Any]] = []
    for variant in (FILM, *variants):
        pooled = found[variant].pooled
        if pooled is None or pooled.auroc is None:
            return not_done(test, name, found[variant].why_not or "Its AUROC is not defined.")
        rows.append({"shown": _WORDS[variant], "auroc": pooled.auroc, "auroc_95_ci": pooled.auroc_95_ci})
    best, whole = max(rows[1:], key=lambda row: row["auroc"]), rows[0]["auroc"]
    words, area, interval = best.values()
    left = max(area - 0.5, 0) / (whole - 0.5)
    return AuditTest(
        test=test,
        name=name,
        what=f"AUROC of a small network trained on {words}",
        number=area,
        interval=interval,
        verdict=verdict_of_auc(area, interval),
        sentence=f"Trained on {words}, a small network reaches {area:.3f}; on whole films {whole:.3f}: {left:.0%} of "
        "what it has above chance needs no lungs.",
        rows=tuple(rows),
    )


def source_left_out(found: Mapping[str, Retrained]) -> AuditTest:
    """T8: the same small network on sources that it has not seen, and on patients of sources that it has."""
    name = "One source left out"
    if why_not := _learned_nothing(found[FILM]):
        return not_done("T8", name, why_not)
    inside, outside = found[FILM].pooled, found[SOURCES].pooled
    if inside is None or outside is None or inside.auroc is None or outside.auroc is None:
        return not_done("T8", name, found[SOURCES].why_not or found[FILM].why_not or "Its AUROC is not defined.")
    lost, upper = inside.auroc - outside.auroc, outside.auroc_95_ci
    verdict: Verdict = "clear" if upper is None or upper[1] >= inside.auroc else level(lost, LOST)
    parts = found[SOURCES].metrics
    rows = [{"tested on": "all sources, each never seen", **_shares(outside)}]
    rows += [{"tested on": source, **_shares(part)} for source, part in (parts.by_source if parts else {}).items()]
    rows.append({"tested on": "patients of sources seen", **_shares(inside)})
    return AuditTest(
        test="T8",
        name=name,
        what="AUROC over all films, each by a network that never saw its source",
        number=outside.auroc,
        interval=upper,
        verdict=verdict,
        sentence=f"With patients held out {inside.auroc:.3f}, with whole sources held out {outside.auroc:.3f}: "
        f"{lost:+.3f} of it does not come along.",
        rows=tuple(rows),
    )


def _learned_nothing(film: Retrained) -> str:
    """Why nothing can be said: where whole films teach a small network nothing, less of them cannot teach it less."""
    pooled = film.pooled
    if pooled is None or pooled.auroc is None:
        return film.why_not or "Its AUROC is not defined."
    low = pooled.auroc if pooled.auroc_95_ci is None else pooled.auroc_95_ci[0]
    return "" if low > 0.5 else f"The small network learned nothing from whole films (AUROC {pooled.auroc:.3f})."


def _shares(found: Measures) -> dict[str, object]:
    return {
        "n": found.n,
        "auroc": found.auroc,
        "auroc_95_ci": found.auroc_95_ci,
        "sensitivity": found.sensitivity,
        "specificity": found.specificity,
    }
