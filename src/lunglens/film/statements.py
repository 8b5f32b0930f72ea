"""A finding in words, as the panel says it."""

from typing import Literal, NamedTuple

from lunglens.film.about import NOTICE
from lunglens.film.abstention import REASONS
from lunglens.film.answer import AtPrevalence
from lunglens.film.finding import Analyzed, Lung, Opacity, Refused
from lunglens.film.gate.traits import Projection
from lunglens.film.language import Said, joined, say
from lunglens.film.lungs.cardiothoracic import Cardiothoracic
from lunglens.film.picture.drawing import plain
from lunglens.film.radiograph import Radiograph
from lunglens.film.severity import Severity

BALANCE = say(
    "The probability holds for the balance of classes in training, not for your patients; see the model card."
)

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
    lines = [Line("film", say("Film"), _film(finding.radiograph))]
    if isinstance(finding, Refused):
        lines += [Line("refusal", "Refused", finding.reason), Line("fact", "Status", "refused by the gate")]
    else:
        lines += [*_answer(finding), Line("fact", "Status", "analyzed")]
        if finding.severity is not None:
            lines.append(Line("fact", say("Severity"), _severity(finding.severity)))
        lines.append(Line("fact", say("Lungs"), _lungs(finding)))
        if finding.cardiothoracic is not None:
            lines.append(Line("fact", say("Heart"), _heart(finding.cardiothoracic, finding.projection)))
        lines.append(Line("fact", say("Heat"), _heat(finding)))
    polarity = "; polarity inverted, corrected" if finding.inverted else ""
    side = _side(finding.projection) if isinstance(finding, Analyzed) and finding.projection else ""
    lines.append(Line("fact", "Gate", f"frontal chest film score {finding.gate_score:.3f} of 1{side}{polarity}"))
    lines.append(Line("fact", "Models", _models(finding.models) or "-"))
    lines.append(Line("fact", "Time", _seconds(finding.seconds)))
    lines += [Line("warning", "Warning", text) for text in finding.warnings]
    lines += [Line("note", "Note", text) for text in finding.radiograph.notes]
    lines.append(Line("notice", "", say(NOTICE)))
    if isinstance(finding, Analyzed):
        lines.append(worth(finding.classes[0].words, finding.answer.at_prevalence))
    return [Line(line.kind, _plain(line.label), _plain(line.text)) for line in lines]


def _plain(text: str) -> str:
    """In ASCII; what is so already keeps what it was made of."""
    return text if text == (changed := plain(text)) else changed


def worth(words: str, at: AtPrevalence | None) -> Line:
    """For whom the probability of the first class, which is called so, holds."""
    if at is None:
        return Line("worth", "", BALANCE)
    said = say(
        "Where {share:.3g} % of the patients have {words}, the probability is {probability}.",
        share=100 * at.prevalence,
        words=words,
        probability=percent(at.probability),
    )
    return Line("worth", "", said)


def percent(share: float) -> Said:
    """A share in words; never rounded to 0 or 100 unless it is exactly that.

    >>> percent(0.123), percent(0.0001), percent(1)
    ('12.3 %', '< 0.1 %', '100.0 %')
    """
    if 0 < share < 0.0005:
        return say("< {share:.1f} %", share=0.1)
    if 0.9995 <= share < 1:
        return say("> {share:.1f} %", share=99.9)
    return say("{share:.1f} %", share=100 * share)


def area(lung: Lung) -> Said:
    """A lung's area in cm2 where the pixel spacing is known, else in px."""
    if lung.area_cm2 is None:
        return say("{area:,} px", area=lung.area_px)
    return say("{area:.0f} cm2", area=lung.area_cm2)


def _answer(finding: Analyzed) -> list[Line]:
    """Of two classes the first one's probability, of more all, the most probable first; then the decision."""
    answer, words = finding.answer, {entry.name: entry.words for entry in finding.classes}
    if answer.threshold is None:
        ranked = sorted(answer.probabilities.items(), key=lambda item: -item[1])
        lines = [Line("probability", words[name], percent(probability)) for name, probability in ranked]
        why = say("the most probable of {n} classes", n=len(ranked))
    else:
        name, probability = next(iter(answer.probabilities.items()))
        lines = [Line("probability", say("{words} probability", words=words[name]), percent(probability))]
        threshold = percent(answer.threshold)
        if probability >= answer.threshold:
            why = say("at or above the documented threshold of {threshold}", threshold=threshold)
        else:
            why = say("below the documented threshold of {threshold}", threshold=threshold)
    if finding.withheld:
        why = joined("; ", [REASONS[reason] for reason in finding.withheld])
    lines += [Line("decision", "Decision", finding.decision), Line("decision", "", why)]
    return lines if finding.opacity is None else [*lines, *_opacity(finding.opacity)]


def _opacity(opacity: Opacity) -> list[Line]:
    """A second number and what it decides; of an opacity that is there the film hardly tells the kind."""
    threshold = percent(opacity.threshold)
    if opacity.is_there:
        said = say("yes (from {threshold}); its kind is uncertain", threshold=threshold)
    else:
        said = say("no (from {threshold})", threshold=threshold)
    any_opacity = Line("opacity", say("Any opacity"), percent(opacity.probability))
    return [any_opacity, Line("opacity", say("Opacity"), said)]


def _side(projection: Projection) -> str:
    by = "header" if projection.stated else f"pixels, AP score {projection.ap_score:.2f}"
    return f", taken {projection.name} by its {by}"


def _severity(severity: Severity) -> Said:
    low, high = severity.interval
    scores = list(severity.zones.values())
    return say(
        "Brixia score, if it is COVID-19, about {total:.0f} of 18 (95 %: {low:.0f} to {high:.0f}); "
        "from above, 0 to 3: right {right}, left {left}",
        total=severity.total,
        low=low,
        high=high,
        right=_zones(scores[:3]),
        left=_zones(scores[3:]),
    )


def _zones(scores: list[float]) -> Said:
    upper, middle, lower = scores
    return say("{upper:.1f}, {middle:.1f}, {lower:.1f}", upper=upper, middle=middle, lower=lower)


def _lungs(finding: Analyzed) -> Said:
    right, left = (
        say("{area} ({share:.1f} % of the film)", area=area(lung), share=100 * lung.share)
        for lung in (finding.right, finding.left)
    )
    said = say("right {right}, left {left}", right=right, left=left)
    if finding.radiograph.spacing_plane == "detector":
        return say("{areas}; in the detector plane, magnified", areas=said)
    return said


def _heart(found: Cardiothoracic, projection: Projection | None) -> Said:
    if projection is not None and projection.name == "AP":
        return say("cardiothoracic ratio {ratio:.2f}; on an AP film the heart is magnified", ratio=found.ratio)
    return say("cardiothoracic ratio {ratio:.2f}", ratio=found.ratio)


def _heat(finding: Analyzed) -> Said:
    if finding.heat_map is None:
        return say("this classifier gives no heat-map")
    if finding.heat_share_in_lungs is None:
        return say("no evidence for {words} on this film, so there is no heat", words=finding.heat_class.words)
    if finding.heat_full is not None:
        return say(
            "from the lungs alone; {strongest:.1f} log odds at its strongest, full colour is {full:g}",
            strongest=finding.heat_full * min(1.0, finding.heat_map.strongest),
            full=finding.heat_full,
        )
    return say(
        "{inside:.0f} % of the heat lies in the lungs, which cover {covered:.0f} % of what the classifier saw",
        inside=100 * finding.heat_share_in_lungs,
        covered=100 * finding.region_share,
    )


def _models(models: dict[str, str]) -> Said:
    return joined(", ", [say("{part}: {name}", part=part, name=name) for part, name in models.items()])


def _seconds(seconds: dict[str, float]) -> str:
    parts = ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
    return f"{sum(seconds.values()):.2f} s ({parts})" if parts else "-"


def _film(film: Radiograph) -> Said:
    height, width = film.pixels.shape
    said: list[str] = [film.file_format, say("{width} x {height} px", width=width, height=height)]
    said.append(say("{bits} bit", bits=film.bits))
    if film.spacing_mm is not None:
        row, column = film.spacing_mm
        said.append(say("pixel {row:.3g} x {column:.3g} mm", row=row, column=column))
    said += [text for text in (film.modality, film.view and say("view {view}", view=film.view), film.sex) if text]
    if film.age_years is not None:
        said.append(say("{age:.0f} years", age=film.age_years))
    return joined(", ", said)
