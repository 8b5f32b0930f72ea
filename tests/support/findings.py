"""Findings without an analysis, and other ones made of those of an analysis."""

from dataclasses import fields
from typing import Any

import numpy as np

from lunglens.film.answer import Answer
from lunglens.film.finding import Analyzed, Finding, Lung, Refused
from lunglens.film.heatmap import HeatMap
from lunglens.film.model_package.record import AnswerClass
from lunglens.film.orientation import AS_STORED
from lunglens.film.preprocess import Mask
from lunglens.film.radiograph import Radiograph

COVID_CLASSES = (AnswerClass(name="covid"), AnswerClass(name="not covid", words="not COVID-19"))


def covid_answer(probability: float, threshold: float = 0.5) -> Answer:
    """Of covid or not."""
    decision = "covid" if probability >= threshold else "not covid"
    return Answer({"covid": probability, "not covid": 1 - probability}, decision, threshold)


def analyzed(film: Radiograph, **changes: Any) -> Analyzed:
    """An analysed film with two rectangles for lungs, and heat at the lower left."""
    height, width = changes.get("to_display", AS_STORED).apply(film.pixels).shape
    heat = np.zeros((height, width), np.float32)
    heat[height // 2 :, : width // 2] = 1
    facts: dict[str, Any] = {
        "radiograph": film,
        "classes": COVID_CLASSES,
        "gate_score": 0.98,
        "answer": covid_answer(0.123, 0.4),
        "lung_square": two_lungs(height, width),
        "left": Lung(0.18, 28800, 182.4),
        "right": Lung(0.18, 28800, None),
        "heat_map": HeatMap(heat),
        "heat_share_in_lungs": 0.61,
        "region_share": 0.45,
        "classifier_view": np.full((64, 64), 0.5, np.float32),
        "view_box": (0.0, 0.0, 1.0, 1.0),
        "models": {"lungs": "unet 1", "classifier": "hrnet 1"},
        "seconds": {"lungs": 0.25, "classifier": 0.5},
    }
    return Analyzed(**(facts | changes))


def two_lungs(height: int, width: int) -> Mask:
    """Two rectangles: rows 20 to 80 %, columns 10 to 40 % and 60 to 90 %."""
    mask = np.zeros((height, width), bool)
    for start in (0.1, 0.6):
        mask[height // 5 : height * 4 // 5, round(start * width) : round((start + 0.3) * width)] = True
    return mask


def as_refused(finding: Finding, code: str, reason: str) -> Refused:
    """The same film, as if the gate had refused it."""
    common = {field.name: getattr(finding, field.name) for field in fields(Finding)}
    return Refused(**common, reason=reason, reason_code=code)
