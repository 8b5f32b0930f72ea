"""The Brixia score of a film: from maps to zones, and where results say it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lunglens.film.analyzer import Analyzer
from lunglens.film.dicom.objects import dicom_results, read_source
from lunglens.film.finding import Analyzed
from lunglens.film.picture.layers import layers_of
from lunglens.film.preprocess import resize_mask
from lunglens.film.severity import ZONES, LungsBox, Severity, grades_of_places, lungs_box, zone_scores
from lunglens.film.statements import panel_lines
from tests.support.findings import two_lungs

SEVERITY = Severity(dict(zip(ZONES, (0.1, 1.0, 2.4, 0.0, 0.5, 3.0), strict=True)), 4.5)


@pytest.fixture(scope="module")
def chest(analyzer: Analyzer, rg_folder: Path) -> Analyzed:
    found = analyzer.analyze(rg_folder / "RG1_UNCR.dcm")
    assert isinstance(found, Analyzed)
    return found


def test_a_zone_has_the_mean_of_its_own_part_of_the_map_and_of_what_all_share() -> None:
    box = lungs_box(np.zeros((90, 90), np.float32), two_lungs(90, 90), 64)
    assert box is not None
    assert box.image.shape == (64, 64)
    maps = np.zeros((2, 12, 12), np.float32)
    maps[0, :4, :6] = 2.0  # the right lung's upper third
    maps[1] = 0.25
    found = zone_scores(maps, box, np.full(6, 0.5))
    assert found == pytest.approx([2.75, 0.75, 0.75, 0.75, 0.75, 0.75], abs=0.15)
    assert zone_scores(maps + 9, box, np.zeros(6)).tolist() == [3.0] * 6


def test_places_have_the_grade_that_a_zone_like_them_would_have() -> None:
    lungs = two_lungs(90, 90)
    box = lungs_box(np.zeros((90, 90), np.float32), lungs, 384)
    assert box is not None
    even = grades_of_places(np.full((2, 24, 24), 0.5, np.float32), box, np.full(6, 1.0))
    assert even[box.shares(24, 24).sum(axis=0) > 0.5] == pytest.approx(2.0, abs=1e-4)
    maps = np.zeros((2, 24, 24), np.float32)
    maps[0, :8, :12] = 2.0  # the right lung's upper third
    found = grades_of_places(maps, box, np.full(6, 0.5))
    right, left = found[:8, :12], found[:8, 14:]
    assert right.max() > 2.2
    assert left.max() < 0.6
    assert found[14:].max() < 0.6
    assert found.min() >= 0
    assert grades_of_places(maps + 9, box, np.zeros(6)).max() == 3.0
    # The mean of a zone's places is its score, but for what the window mixes in from beyond its borders.
    means = (box.weights(24, 24) * found).sum(axis=(1, 2))
    assert means == pytest.approx(zone_scores(maps, box, np.full(6, 0.5)), abs=0.5)


def test_places_are_graded_in_the_lungs_alone(chest: Analyzed) -> None:
    assert chest.severity is not None
    places = chest.severity.places
    assert places is not None
    lungs = resize_mask(chest.to_display.apply(chest.lungs), *places.shape)
    assert places[:20].max() == 0  # above the lungs
    assert (places > 0)[lungs].mean() > 0.9
    assert (places > 0).mean() < 2 * lungs.mean()
    low, high = np.quantile(places[lungs], [0.01, 0.99])
    assert 0 <= low < high <= 3
    assert set(layers_of(chest)) == {"film", "lungs", "heat", "grades", "seen"}


def test_weights_of_a_zone_sum_to_one() -> None:
    box = LungsBox(np.zeros((64, 64), np.float32), np.zeros((6, 90, 90), bool), (0, 0, 90, 90))
    assert box.weights(5, 7).sum(axis=(1, 2)) == pytest.approx(np.ones(6))


def test_lungs_without_six_zones_have_no_severity() -> None:
    assert lungs_box(np.zeros((90, 90), np.float32), np.zeros((90, 90), bool), 64) is None


def test_the_interval_ends_where_the_score_does() -> None:
    assert SEVERITY.total == pytest.approx(7.0)
    assert SEVERITY.interval == pytest.approx((2.5, 11.5))
    assert replace(SEVERITY, within=12.0).interval == (0.0, 18.0)


def test_a_film_of_the_covid_classifier_has_a_severity_in_all_results(chest: Analyzed, rg_folder: Path) -> None:
    assert chest.severity is not None
    record = chest.to_dict()["severity"]
    assert record["zones"].keys() == set(ZONES)
    assert 0 <= record["sum_95_interval"][0] <= record["sum"] <= record["sum_95_interval"][1] <= 18
    told = replace(chest, severity=SEVERITY)
    [line] = [line.text for line in panel_lines(told) if line.label == "Severity"]
    assert "if it is COVID-19" in line
    assert "7 of 18 (95 %: 2 to 12)" in line
    report = dicom_results(read_source(rg_folder / "RG1_UNCR.dcm"), told).objects["report.sr"].to_json()
    for zone in ("right upper", "right lower", "left middle"):
        assert f"Brixia score, estimated: {zone} zone, 0 to 3" in report
    assert "means nothing for another disease" in report


def test_another_classifier_has_none(chest: Analyzed) -> None:
    told = replace(chest, severity=None)
    assert "severity" not in told.to_dict()
    assert "Severity" not in [line.label for line in panel_lines(told)]


def test_a_mirrored_film_has_the_sides_as_they_are_displayed(analyzer: Analyzer, rg_folder: Path) -> None:
    from lunglens.film.radiograph import radiograph_from_array, read_radiograph

    pixels = read_radiograph(rg_folder / "RG1_UNCR.dcm").pixels[::3, ::3]
    found = [analyzer.analyze(radiograph_from_array(film)) for film in (pixels, np.ascontiguousarray(pixels[:, ::-1]))]
    assert all(isinstance(finding, Analyzed) and finding.severity for finding in found)
    plain, mirrored = ([*finding.severity.zones.values()] for finding in found)  # type: ignore[union-attr]
    if found[0].mirrored != found[1].mirrored:
        assert mirrored == pytest.approx([*plain[3:], *plain[:3]], abs=0.02)
