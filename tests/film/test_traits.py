"""What the pixels tell of how a film was made: projection, a child, badly made."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lunglens.film.analyzer import Analyzer
from lunglens.film.finding import Analyzed
from lunglens.film.finding_record import FindingRecord
from lunglens.film.gate.traits import TRAITS
from lunglens.film.model_package.package import load_package
from lunglens.film.radiograph import radiograph_from_array
from lunglens.film.statements import panel_lines
from tests.support.lungs_packages import lungs_package
from tests.support.packages import SIZE, classifier_package
from tests.support.phantom import chest

LUNGS = np.zeros((1, SIZE, SIZE), np.float32)
LUNGS[0, 10:40, 8:26] = LUNGS[0, 10:40, 38:56] = 1
Analyse = Callable[..., Analyzed]


@pytest.fixture
def analyse(tmp_path: Path, analyzer: Analyzer) -> Analyse:
    """The finding of a film by a lungs package of given traits (log odds); and what its header says."""

    def finding(traits: Mapping[str, float] | None = None, **header: Any) -> Analyzed:
        lungs = load_package(lungs_package(tmp_path / "lungs", LUNGS, traits), "lungs")
        classifier = load_package(classifier_package(tmp_path / "classifier", ["covid", "other"], [0.0]))
        film = replace(radiograph_from_array(chest(1, 256)[0]), **header)
        found = Analyzer(lungs, classifier, analyzer.orientation).analyze(film)
        assert isinstance(found, Analyzed)
        return found

    return finding


@pytest.mark.parametrize(
    ("log_odds", "view", "expected"),
    [
        (None, None, None),
        (None, "LL", None),
        (None, "AP", ("AP", True, None)),
        (3.0, None, ("AP", False, 0.952574)),
        (-3.0, None, ("PA", False, 0.047426)),
        (3.0, "PA", ("PA", True, 0.952574)),
        (-3.0, "AP SUPINE", ("AP", True, 0.047426)),
        (-3.0, "APEX", ("PA", False, 0.047426)),
    ],
)
def test_the_header_tells_the_projection_before_the_pixels(
    analyse: Analyse, log_odds: float | None, view: str | None, expected: tuple[str, bool, float | None] | None
) -> None:
    found = analyse({} if log_odds is None else {"ap": log_odds}, view=view)
    record = FindingRecord.model_validate(found.to_dict()).projection
    told = None if record is None else (record.name, record.stated_by_header, record.ap_score)
    assert told == (expected if expected is None else pytest.approx(expected, abs=1e-6))
    gate = next(line.text for line in panel_lines(found) if line.label == "Gate")
    by = {None: "", True: ", taken {} by its header", False: ", taken {} by its pixels, AP score {:.2f}"}
    words = by[expected and expected[1]].format(*((expected and (expected[0], expected[2])) or ()))
    assert gate.removesuffix(words).endswith(" of 1")


def test_a_film_is_warned_of_what_it_looks_like(analyse: Analyse) -> None:
    quiet = analyse(dict.fromkeys(TRAITS, -2.0))
    loud = analyse(dict.fromkeys(TRAITS, 2.0))
    assert not any("looks" in text for text in quiet.warnings)
    assert [text.split(" (score ")[0] for text in loud.warnings if "looks" in text] == [
        "looks like a child's film",
        "looks over-exposed",
        "looks under-exposed",
        "looks blurred by motion",
    ]
    assert all("(score 0.88 of 1): " in text for text in loud.warnings if "looks" in text)


def test_who_has_an_age_is_not_guessed_to_be_a_child(analyse: Analyse) -> None:
    assert not any("child" in text for text in analyse({"child": 2.0}, age_years=40.0).warnings)


def test_a_trait_of_a_later_version_is_passed_over(analyse: Analyse) -> None:
    assert analyse({"pacemaker": 9.0}).warnings == analyse().warnings
