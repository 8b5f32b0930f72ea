"""T11: are the heat-maps evidence? Heat in the lungs, maps of random weights, radiologists' boxes and zones."""

from typing import Any

from lunglens.evaluate.audit.record import VERDICTS, AuditTest, Verdict, not_done

NAME = "Where the heat lies"
_ALIKE = 0.5  # rank correlation of two maps from which on they are nearly the same


def heat_test(
    lungs: dict[str, Any], weights: dict[str, Any], zones: dict[str, Any] | None, boxes: dict[str, Any] | None
) -> AuditTest:
    """T11 from the measures of out-of-fold maps.

    Args:
        lungs: of `heat_in_lungs`: heat in the lungs against theirs of the film.
        weights: of `weight_dependence`: maps by trained against maps by random weights.
        zones: of `zone_agreement`: heat against Brixia scores, where there are some.
        boxes: of `boxes_agreement`: heat against opacities, where there are some.
    """
    ratio, interval = lungs["ratio"], lungs["ratio_95_ci"]
    if ratio is None or interval is None:
        return not_done("T11", NAME, "Too few films have any heat.")
    random = weights["all layers"]["rank_correlation"]
    place: Verdict = "shortcut" if interval[1] < 1 else "doubt" if interval[0] <= 1 else "clear"
    depends: Verdict = "clear" if random is None or random < _ALIKE else "doubt"
    rows = [
        _row("lungs: heat there against their area", lungs, "ratio"),
        _row("hottest pixel in the lungs", lungs["hottest_pixel"], "hits"),
    ]
    rows += [_row(f"maps of random weights ({what})", found, "rank_correlation") for what, found in weights.items()]
    if zones is not None:
        rows += [
            _row(f"Brixia zones: {what.replace('_', ' ')}", zones, what) for what in ("correlation", "usual_zones")
        ]
    if boxes is not None:
        rows += [
            _row("boxes: heat there", boxes, "heat_share"),
            _row("hottest pixel in a box", boxes["hottest_pixel"], "hits"),
        ]
    return AuditTest(
        test="T11",
        name=NAME,
        what="heat in the lungs against their share of the film (1: as if spread evenly)",
        number=ratio,
        interval=interval,
        verdict=max(place, depends, key=VERDICTS.index),
        sentence=f"{lungs['heat_share']:.0%} of the heat lies in the lungs, {lungs['area_share']:.0%} of the film"
        + (f"; with random weights the maps are alike to {random:.2f}." if random is not None else "."),
        rows=tuple(rows),
    )


def _row(what: str, found: dict[str, Any], name: str) -> dict[str, Any]:
    return {"what": what, "value": found.get(name), "95_ci": found.get(f"{name}_95_ci"), "films": found.get("n")}
