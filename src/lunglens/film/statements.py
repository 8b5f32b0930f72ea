"""A finding in words, as the panel says it."""

from typing import Literal, NamedTuple

from lunglens.film.about import NOTICE
from lunglens.film.abstention import REASONS
from lunglens.film.answer import AtPrevalence
from lunglens.film.finding import Analyzed, Lung, Opacity, Refused
from lunglens.film.gate.traits import Projection
from lunglens.film.lungs.cardiothoracic import Cardiothoracic
from lunglens.film.picture.drawing import plain
from lunglens.film.radiograph import Radiograph
from lunglens.film.severity import Severity

BALANCE = "The probability holds for the balance of classes in training, not for your patients; see the model card."

SEVERITY_LIMITS = (
    "An estimate of the Brixia score, as two radiologists would give it to a COVID-19 pneumonia; it means nothing for "
    "another disease. The interval holds for films like those it was learned from; see the model card."
)


class Line(NamedTuple):
    """One statement: where on the panel it belongs, its label ('' where it has none) and the statement itself."""

    kind: Literal["film", "probability", "decision", "opacity", "refusal", "fact", "warning", "note", "notice", "worth"]
    label: str
    text: str


def panel_lines(finding: Analyzed | Refused) -> list[Line]:
    """All that the panel says of a finding, in ASCII. A refused finding has no line about a probability."""
    lines = [Line("film", "Film", _film(finding.radiograph))]
    if isinstance(finding, Refused):
        lines += [Line("refusal", "Refused", finding.reason), Line("fact", "Status", "refused by the gate")]
    else:
        lines += [*_answer(finding), Line("fact", "Status", "analyzed")]
        if finding.severity is not None:
            lines.append(Line("fact", "Severity", _severity(finding.severity)))
        lines.append(Line("fact", "Lungs", _lungs(finding)))
        if finding.cardiothoracic is not None:
            lines.append(Line("fact", "Heart", _heart(finding.cardiothoracic, finding.projection)))
        lines.append(Line("fact", "Heat", _heat(finding)))
    polarity = "; polarity inverted, corrected" if finding.inverted else ""
    side = _side(finding.projection) if isinstance(finding, Analyzed) and finding.projection else ""
    lines.append(Line("fact", "Gate", f"frontal chest film score {finding.gate_score:.3f} of 1{side}{polarity}"))
    lines.append(Line("fact", "Models", ", ".join(f"{part}: {name}" for part, name in finding.models.items()) or "-"))
    lines.append(Line("fact", "Time", _seconds(finding.seconds)))
    lines += [Line("warning", "Warning", text) for text in finding.warnings]
    lines += [Line("note", "Note", text) for text in finding.radiograph.notes]
    lines.append(Line("notice", "", NOTICE))
    if isinstance(finding, Analyzed):
        lines.append(worth(finding.classes[0].words, finding.answer.at_prevalence))
    return [Line(line.kind, plain(line.label), plain(line.text)) for line in lines]


def worth(words: str, at: AtPrevalence | None) -> Line:
    """For whom the probability of the first class, which is called so, holds."""
    if at is None:
        return Line("worth", "", BALANCE)
    share = f"{100 * at.prevalence:.3g} %"
    return Line(
        "worth", "", f"Where {share} of the patients have {words}, the probability is {percent(at.probability)}."
    )


def percent(share: float) -> str:
    """A share in words; never rounded to 0 or 100 unless it is exactly that.

    >>> percent(0.123), percent(0.0001), percent(1)
    ('12.3 %', '< 0.1 %', '100.0 %')
    """
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %"


def area(lung: Lung) -> str:
    """A lung's area in cm2 where the pixel spacing is known, else in px."""
    return f"{lung.area_px:,} px" if lung.area_cm2 is None else f"{lung.area_cm2:.0f} cm2"


def _answer(finding: Analyzed) -> list[Line]:
    """Of two classes the first one's probability, of more all, the most probable first; then the decision."""
    answer, words = finding.answer, {entry.name: entry.words for entry in finding.classes}
    if answer.threshold is None:
        ranked = sorted(answer.probabilities.items(), key=lambda item: -item[1])
        lines = [Line("probability", words[name], percent(probability)) for name, probability in ranked]
        why = f"the most probable of {len(ranked)} classes"
    else:
        name, probability = next(iter(answer.probabilities.items()))
        lines = [Line("probability", f"{words[name]} probability", percent(probability))]
        side = "at or above" if probability >= answer.threshold else "below"
        why = f"{side} the documented threshold of {percent(answer.threshold)}"
    if finding.withheld:
        why = "; ".join(REASONS[reason] for reason in finding.withheld)
    lines += [Line("decision", "Decision", finding.decision), Line("decision", "", why)]
    return lines if finding.opacity is None else [*lines, *_opacity(finding.opacity)]


def _opacity(opacity: Opacity) -> list[Line]:
    """A second number and what it decides; of an opacity that is there the film hardly tells the kind."""
    kind = "; its kind is uncertain" if opacity.is_there else ""
    said = f"{'yes' if opacity.is_there else 'no'} (from {percent(opacity.threshold)}){kind}"
    return [Line("opacity", "Any opacity", percent(opacity.probability)), Line("opacity", "Opacity", said)]


def _side(projection: Projection) -> str:
    by = "header" if projection.stated else f"pixels, AP score {projection.ap_score:.2f}"
    return f", taken {projection.name} by its {by}"


def _severity(severity: Severity) -> str:
    low, high = severity.interval
    scores = [f"{score:.1f}" for score in severity.zones.values()]
    return (
        f"Brixia score, if it is COVID-19, about {severity.total:.0f} of 18 (95 %: {low:.0f} to {high:.0f}); "
        f"from above, 0 to 3: right {', '.join(scores[:3])}, left {', '.join(scores[3:])}"
    )


def _lungs(finding: Analyzed) -> str:
    sides = (("right", finding.right), ("left", finding.left))
    areas = ", ".join(f"{name} {area(lung)} ({100 * lung.share:.1f} % of the film)" for name, lung in sides)
    return areas + ("; in the detector plane, magnified" if finding.radiograph.spacing_plane == "detector" else "")


def _heart(found: Cardiothoracic, projection: Projection | None) -> str:
    magnified = "; on an AP film the heart is magnified" if projection is not None and projection.name == "AP" else ""
    return f"cardiothoracic ratio {found.ratio:.2f}{magnified}"


def _heat(finding: Analyzed) -> str:
    if finding.heat_map is None:
        return "this classifier gives no heat-map"
    if finding.heat_share_in_lungs is None:
        return f"no evidence for {finding.heat_class.words} on this film, so there is no heat"
    if finding.heat_full is not None:
        strongest = finding.heat_full * min(1.0, finding.heat_map.strongest)
        return f"from the lungs alone; {strongest:.1f} log odds at its strongest, full colour is {finding.heat_full:g}"
    inside, covered = 100 * finding.heat_share_in_lungs, 100 * finding.region_share
    return f"{inside:.0f} % of the heat lies in the lungs, which cover {covered:.0f} % of what the classifier saw"


def _seconds(seconds: dict[str, float]) -> str:
    parts = ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
    return f"{sum(seconds.values()):.2f} s ({parts})" if parts else "-"


def _film(film: Radiograph) -> str:
    height, width = film.pixels.shape
    said = [film.file_format, f"{width} x {height} px", f"{film.bits} bit"]
    if film.spacing_mm is not None:
        said.append(f"pixel {film.spacing_mm[0]:.3g} x {film.spacing_mm[1]:.3g} mm")
    said += [text for text in (film.modality, film.view and f"view {film.view}", film.sex) if text]
    if film.age_years is not None:
        said.append(f"{film.age_years:.0f} years")
    return ", ".join(said)
