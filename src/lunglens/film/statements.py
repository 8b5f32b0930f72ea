"""A finding in words, as the panel says it."""

from typing import Literal, NamedTuple

from lunglens.film.about import NOTICE
from lunglens.film.finding import Finding, Lung
from lunglens.film.picture.drawing import plain
from lunglens.film.radiograph import Radiograph

BALANCE = "The probability holds for the balance of classes in training, not for your patients; see the model card."


class Line(NamedTuple):
    """One statement: where on the panel it belongs, its label ('' where it has none) and the statement itself."""

    kind: Literal["film", "probability", "decision", "refusal", "fact", "warning", "note", "notice"]
    label: str
    text: str


def panel_lines(finding: Finding) -> list[Line]:
    """All that the panel says of a finding, in ASCII. A refused finding has no line about a probability."""
    refused = finding.status == "refused"
    lines = [Line("film", "Film", _film(finding.radiograph))]
    lines += [Line("refusal", "Refused", _reason(finding))] if refused else _answer(finding)
    lines.append(Line("fact", "Status", "refused by the gate" if refused else "analyzed"))
    if not refused:
        lines += [Line("fact", "Lungs", _lungs(finding)), Line("fact", "Heat", _heat(finding))]
    polarity = "; polarity inverted, corrected" if finding.inverted else ""
    lines.append(Line("fact", "Gate", f"frontal chest film score {finding.gate_score:.3f} of 1{polarity}"))
    lines.append(Line("fact", "Models", ", ".join(f"{part}: {name}" for part, name in finding.models.items()) or "-"))
    lines.append(Line("fact", "Time", _seconds(finding.seconds)))
    lines += [Line("warning", "Warning", text) for text in finding.warnings]
    lines += [Line("note", "Note", text) for text in finding.radiograph.notes]
    lines += [Line("notice", "", text) for text in ([NOTICE] if refused else [NOTICE, BALANCE])]
    return [Line(line.kind, line.label, plain(line.text)) for line in lines]


def percent(share: float) -> str:
    """0.123 -> '12.3 %'; never rounded to 0 or 100 unless it is exactly that."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %"


def area(lung: Lung) -> str:
    """A lung's area in cm2 where the pixel spacing is known, else in px."""
    return f"{lung.area_px:,} px" if lung.area_cm2 is None else f"{lung.area_cm2:.0f} cm2"


def _answer(finding: Finding) -> list[Line]:
    if finding.covid_probability is None:
        return []
    lines = [Line("probability", "COVID-19 probability", percent(finding.covid_probability))]
    if finding.threshold is not None:
        side = "at or above" if finding.covid_probability >= finding.threshold else "below"
        lines.append(Line("decision", "Decision", f"{finding.decision}"))
        lines.append(Line("decision", "", f"{side} the documented threshold of {percent(finding.threshold)}"))
    return lines


def _reason(finding: Finding) -> str:
    return finding.reason or "the gate gave no reason"


def _lungs(finding: Finding) -> str:
    sides = (("right", finding.right), ("left", finding.left))
    known = [f"{name} {area(lung)} ({100 * lung.share:.1f} % of the film)" for name, lung in sides if lung is not None]
    detector = finding.radiograph.spacing_plane == "detector" and bool(known)
    return (", ".join(known) or "not measured") + ("; in the detector plane, magnified" if detector else "")


def _heat(finding: Finding) -> str:
    if finding.heat_share_in_lungs is None:
        return "no evidence for COVID-19 on this film, so there is no heat"
    text = f"{100 * finding.heat_share_in_lungs:.0f} % of the heat lies in the lungs"
    if finding.region_share is None:
        return text
    return f"{text}, which cover {100 * finding.region_share:.0f} % of what the classifier saw"


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
