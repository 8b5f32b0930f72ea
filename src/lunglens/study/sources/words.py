"""What tables and headers call views, modalities, sexes and diagnoses, and what we call them."""

import re

from lunglens.film.reading.facts import PLAIN_RADIOGRAPHY, UNSTATED_MODALITIES

UNKNOWN = {"", "na", "n/a", "nan", "none", "null", "unknown", "-", "?"}
SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}
LABELS = {name: name for name in ("covid", "normal", "pneumonia", "tuberculosis", "other")}
LABELS |= {"covid-19": "covid", "covid19": "covid"}

_UNSTATED = {code.casefold() for code in UNSTATED_MODALITIES} | {"other"}
_RADIOGRAPHY = {code.casefold() for code in PLAIN_RADIOGRAPHY}
_RADIOGRAPHY |= {"xray", "radiograph", "radiography", "cxr", "chestxray", "plainfilm"}
_TOMOGRAPHY = {"ct", "computedtomography"}
_VIEWS = {"pa": "PA", "posteroanterior": "PA", "posterioranterior": "PA"}
_VIEWS |= {"ap": "AP", "anteroposterior": "AP", "anteriorposterior": "AP", "frontal": "Frontal"}
_VIEWS |= dict.fromkeys(("ll", "rl", "l", "lat", "lateral"), "L")
_POSTURES = {"supine": "Supine", "lying": "Supine", "erect": "Erect", "upright": "Erect", "standing": "Erect"}
_BESIDE = {"chest", "view", "projection", "portable", "bedside", "mobile", "left", "right", "film", "x", "ray", "xray"}


def modality_of(words: str | None) -> str | None:
    """ "X-ray" or "CT" for their codes and names, None for DICOM's "other", anything else as it is."""
    plain = re.sub(r"[^a-z]", "", (words or "").casefold())
    if words is None or plain in _UNSTATED:
        return None
    return "X-ray" if plain in _RADIOGRAPHY else "CT" if plain in _TOMOGRAPHY else words


def view_of(words: str | None) -> str | None:
    """PA, AP, AP Supine, AP Erect, Frontal or L for the usual names of a projection, anything else as it is."""
    plain = re.sub(r"(posterior|postero|anterior|antero)[^a-z]+(?=posterior|anterior)", r"\1", (words or "").casefold())
    parts = set(re.findall(r"[a-z]+", plain))
    views = {_VIEWS[part] for part in parts if part in _VIEWS}
    if len(views) > 1:
        views.discard("Frontal")
    if len(views) != 1 or parts - _VIEWS.keys() - _POSTURES.keys() - _BESIDE:
        return words
    [view] = views
    postures = {_POSTURES[part] for part in parts if part in _POSTURES}
    return f"AP {postures.pop()}" if view == "AP" and len(postures) == 1 else view
