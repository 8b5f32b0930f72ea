"""LungLens's private codes (99LUNGLENS), each with one meaning, for what DICOM, SNOMED CT and UCUM lack.

A code value never changes its meaning, and has at most 16 characters (longer ones would be Long Code Values, which many
consumers do not read). What differs from film to film (reasons, warnings, numbers) is never in a code.
"""

import hashlib

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from lunglens.film.dicom.text import description
from lunglens.film.model_package.record import COVID, AnswerClass
from lunglens.film.severity import ZONE_WORDS

SCHEME, SCHEME_VERSION = "99LUNGLENS", "2"

_MEANINGS = {
    # names: what is asked or measured
    "gate": "Judgement of the film",
    "frontal-score": "Score of the check for frontal chest radiographs",
    "reason": "Reason of the refusal",
    "warning": "Warning",
    "note": "Note on the reading of the film",
    "intended-use": "Intended use",
    "limits": "Limits of the probability",
    "covid-prob": "Probability of COVID-19 at the balance of training",
    "covid-calibrated": "Probability of COVID-19, calibrated",
    "threshold": "Threshold of the decision",
    "prevalence": "Share of patients with the finding, as the reader set it",
    "prob-at-prev": "Probability of the finding at that share of patients",
    "distance": "Distance of the film from those of the training",
    "withheld": "Why no class is decided for",
    "most-probable": "Most probable class",
    "opacity": "Any opacity of the lungs",
    "opacity-prob": "Probability of any opacity at the balance of training",
    "opacity-from": "Threshold of the decision on any opacity",
    "heat-in-lungs": "Share of the heat inside the lung region",
    "brixia-limits": "Limits of the estimated Brixia score",
    "brixia-sum": "Brixia score, estimated: sum of six zones, 0 to 18",
    "brixia-low": "Brixia score, estimated: lower end of 95 % interval of sum",
    "brixia-high": "Brixia score, estimated: upper end of 95 % interval of sum",
    **{
        f"brixia-{zone.lower()}": f"Brixia score, estimated: {words} zone, 0 to 3" for zone, words in ZONE_WORDS.items()
    },
    "result-lungs": "Segmentation of the lungs made from this film",
    "result-heat": "Heat-map of the classifier made from this film",
    "result-panel": "Panel of all results made from this film",
    "accepted": "Frontal chest radiograph with both lungs found",
    # how an area was measured
    "detector-plane": "Measured in the plane of the detector, so magnified",
}

# A reason's machine word -> code value and meaning of the answer to "Judgement of the film".
_REFUSALS = {
    "blank": ("refused-blank", "Refused: the film is blank"),
    "no-lungs": ("refused-no-lungs", "Refused: no lungs found"),
    "one-lung": ("refused-one-lung", "Refused: only one lung found"),
    "not-plausible": ("refused-area", "Refused: what was found is not plausible as lungs"),
    "not-frontal": ("refused-view", "Refused: not like a frontal chest radiograph"),
    "not-a-chest-radiograph": ("refused-kind", "Refused: by its header no chest radiograph"),
    "modality": ("refused-modality", "Refused: by its header of another modality"),
    "frames": ("refused-frames", "Refused: more than one frame"),
    "raw-data": ("refused-raw", "Refused: raw data of the detector"),
    "unreadable": ("refused-unread", "Refused: the film cannot be read"),
}
_OTHER = ("refused-other", "Refused: for the reason given as text")


def private(value: str) -> Code:
    """The code of a value in the table.

    Raises:
        KeyError: there is none; a code is never made up on the way.
    """
    return Code(value, SCHEME, _MEANINGS[value])


def class_code(entry: AnswerClass) -> Code:
    """A class of the classifier: the code that its package gives, else a private one made of its words."""
    if entry.code is not None:
        return Code(entry.code.value, entry.code.scheme, entry.code.meaning)
    return _of_words("class", entry.words)


def probability_code(entry: AnswerClass, *, calibrated: bool) -> Code:
    """What the probability of a class is called."""
    if entry.name == COVID:
        return private("covid-calibrated" if calibrated else "covid-prob")
    return _of_words("prob", f"Probability of {entry.words}")


def _of_words(kind: str, words: str) -> Code:
    """A private code whose value follows from its meaning, so that it can never get another one."""
    return Code(f"{kind}-{hashlib.sha256(words.encode()).hexdigest()[:10]}", SCHEME, description(words))


def refusal(reason_code: str) -> Code:
    """The answer "refused" for a reason's machine word; one that the table does not know is "refused-other"."""
    value, meaning = _REFUSALS.get(reason_code, _OTHER)
    return Code(value, SCHEME, meaning)


def private_codes() -> dict[str, str]:
    """Code value -> meaning, of all private codes."""
    return _MEANINGS | dict([*_REFUSALS.values(), _OTHER])


def scheme_identification() -> Dataset:
    """Item of the Coding Scheme Identification Sequence (PS3.3 C.12.1): who is responsible for these codes."""
    item = Dataset()
    item.CodingSchemeDesignator, item.CodingSchemeVersion = SCHEME, SCHEME_VERSION
    item.CodingSchemeName = "Private codes of LungLens"
    item.CodingSchemeResponsibleOrganization = "LungLens"
    return item
