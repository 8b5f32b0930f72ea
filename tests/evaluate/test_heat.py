"""Measures of heat-maps against maps whose answer is known."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from lunglens.errors import DataError
from lunglens.evaluate.brixia import read_brixia, zone_agreement, zone_heat
from lunglens.evaluate.heat import (
    inside,
    inside_difference,
    inside_summary,
    mean_with_interval,
    pointing,
    pointing_summary,
    rank_correlation,
    similarity,
    ssim,
    weight_dependence,
)
from lunglens.film.severity import ZONES, brixia_zones

HEADER = "\ufefffilename," + ",".join(f"{r}-{z}" for r in "SJ" for z in [*ZONES, "Global"])


def left_half(size: int = 8) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[:, : size // 2] = True
    return mask


def two_lungs() -> np.ndarray:
    """The patient's right lung (film's left) in rows 10 to 69, the left in rows 20 to 79."""
    mask = np.zeros((100, 100), bool)
    mask[10:70, 10:40] = True
    mask[20:80, 60:90] = True
    return mask


def test_heat_spread_evenly_lies_in_the_mask_as_its_area_does() -> None:
    assert inside(np.ones((8, 8), np.float32), left_half()) == (0.5, 0.5)


def test_heat_on_one_side_lies_wholly_in_or_out() -> None:
    heat = left_half().astype(np.float32)
    assert inside(heat, left_half()) == (1.0, 0.5)
    assert inside(heat, ~left_half()) == (0.0, 0.5)


def test_a_map_without_heat_has_no_share_and_is_counted_apart() -> None:
    share, area = inside(np.zeros((8, 8), np.float32), left_half())
    assert np.isnan(share)
    assert area == 0.5
    found = inside_summary(np.array([np.nan, 0.6, 0.4]), np.full(3, 0.25), np.array(["a", "b", "c"]))
    assert (found["n"], found["without_heat"]) == (2, 1)
    assert (found["heat_share"], found["area_share"], found["ratio"]) == (0.5, 0.25, 2.0)
    assert found["films_above_area"] == 1.0
    assert found["ratio_95_ci"] == [1.6, 2.4]


def test_no_film_with_heat_gives_no_numbers() -> None:
    found = inside_summary(np.array([np.nan]), np.array([0.3]), np.array(["a"]))
    assert found["n"] == 0
    assert found["ratio"] is None
    assert found["ratio_95_ci"] is None


def test_one_patient_has_a_mean_but_no_interval() -> None:
    found = inside_summary(np.array([0.5, 0.7]), np.array([0.2, 0.2]), np.array(["a", "a"]))
    assert found["heat_share"] == 0.6
    assert found["heat_share_95_ci"] is None
    assert mean_with_interval(np.array([1.0, 3.0]), np.array(["a", "a"])) == (2.0, None)


def test_intervals_are_wider_when_films_share_patients() -> None:
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(20), 5)
    shares = np.repeat(generator.random(20), 5)
    area = np.full(100, 0.3)
    by_patient = inside_summary(shares, area, patients)["heat_share_95_ci"]
    by_film = inside_summary(shares, area, np.arange(100))["heat_share_95_ci"]
    assert by_patient[1] - by_patient[0] > 1.5 * (by_film[1] - by_film[0])


def test_the_difference_of_two_classifiers_is_paired_by_film() -> None:
    first, second = np.array([0.1, 0.5, np.nan, 0.9]), np.array([0.3, 0.7, 0.5, np.nan])
    found = inside_difference(first, second, np.array(["a", "b", "c", "d"]))
    assert found == {"n": 2, "difference": 0.2, "difference_95_ci": [0.2, 0.2]}


def test_pointing_takes_the_hottest_pixel() -> None:
    heat = np.zeros((8, 8), np.float32)
    heat[3, 6] = 1
    assert pointing(heat, left_half()) == (False, 0.5)
    assert pointing(heat, ~left_half()) == (True, 0.5)
    assert pointing(np.zeros((8, 8), np.float32), left_half()) == (None, 0.5)


def test_hits_are_set_against_the_regions_area() -> None:
    found = pointing_summary([True, True, False, None], np.array([0.2, 0.4, 0.3, 0.9]), np.arange(4))
    assert (found["n"], found["without_heat"]) == (3, 1)
    assert found["hits"] == 0.6667
    assert found["chance"] == 0.3
    assert found["above_chance"] == 0.3667
    low, high = found["hits_95_ci"]
    assert low == 0.0
    assert high == 1.0


def test_rank_correlation_is_spearmans_with_ties() -> None:
    generator = np.random.default_rng(1)
    first, second = generator.integers(0, 5, 40), generator.integers(0, 5, 40)
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert np.isnan(rank_correlation(np.ones(6), np.arange(6)))


def test_ssim_of_equal_maps_is_one_and_of_constants_is_its_formula() -> None:
    heat = np.random.default_rng(2).random((20, 24)).astype(np.float32)
    assert ssim(heat, heat) == pytest.approx(1)
    # Constant maps have no variance: only the luminance term is left.
    expected = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    assert ssim(np.full((12, 12), 0.25), np.full((12, 12), 0.75)) == pytest.approx(expected)
    assert ssim(heat, 1 - heat) < 0


def test_similarity_does_not_depend_on_the_scale_of_a_map() -> None:
    heat = np.random.default_rng(3).random((16, 16)).astype(np.float32)
    assert similarity(heat, 7 * heat) == (pytest.approx(1), pytest.approx(1))
    assert all(np.isnan(value) for value in similarity(heat, np.zeros_like(heat)))


def test_maps_that_ignore_the_weights_are_told_from_maps_that_follow_them() -> None:
    generator = np.random.default_rng(4)
    trained = [generator.random((12, 12)).astype(np.float32) for _ in range(8)]
    other = [generator.random((12, 12)).astype(np.float32) for _ in range(8)]
    found = weight_dependence(trained, {"head": trained, "all": other}, np.arange(8))
    assert found["head"]["rank_correlation"] == 1.0
    assert found["head"]["ssim"] == 1.0
    low, high = found["all"]["rank_correlation_95_ci"]
    assert low < 0.1
    assert high < 0.3
    assert found["other film"]["n"] == 8
    assert abs(found["other film"]["rank_correlation"]) < 0.3


def test_the_other_film_is_one_of_another_patient() -> None:
    first, second = np.eye(6, dtype=np.float32), np.fliplr(np.eye(6, dtype=np.float32))
    found = weight_dependence([first, first, second], {}, np.array(["a", "a", "b"]))
    assert found["other film"]["rank_correlation"] < 0
    alone = weight_dependence([first, first], {}, np.array(["a", "a"]))
    assert alone["other film"] == {
        "n": 0,
        "rank_correlation": None,
        "rank_correlation_95_ci": None,
        "ssim": None,
        "ssim_95_ci": None,
    }


def test_zones_are_thirds_of_each_lung_with_the_right_lung_on_the_films_left() -> None:
    zones = brixia_zones(two_lungs())
    assert zones is not None
    assert [int(zone.sum()) for zone in zones] == [600] * 6
    corners = [tuple(int(value[0]) for value in np.nonzero(zone)) for zone in zones]
    assert corners == [(10, 10), (30, 10), (50, 10), (20, 60), (40, 60), (60, 60)]
    assert (sum(zone.astype(int) for zone in zones) == two_lungs()).all()


def test_one_lung_or_a_sliver_has_no_six_zones() -> None:
    alone = two_lungs()
    alone[:, 50:] = False
    assert brixia_zones(alone) is None
    assert brixia_zones(np.zeros((50, 50), bool)) is None
    sliver = two_lungs()
    sliver[22:, 50:] = False
    assert brixia_zones(sliver) is None


def test_zone_heat_is_a_mean_a_pixel() -> None:
    zones = brixia_zones(two_lungs())
    assert zones is not None
    heat = np.zeros((100, 100), np.float32)
    heat[zones[2]] = 3
    heat[zones[3]] = 1
    assert zone_heat(heat, zones).tolist() == [0, 0, 3, 1, 0, 0]


def test_heat_that_follows_the_scores_beats_the_fixed_pattern_and_chance() -> None:
    generator = np.random.default_rng(5)
    scores = np.array([generator.permutation([0.0, 0.5, 1.0, 2.0, 2.5, 3.0]) for _ in range(30)])
    found = zone_agreement(scores + 1, scores, np.arange(30))
    assert (found["n"], found["correlation"], found["hottest"]) == (30, 1.0, 1.0)
    assert found["chance"] == 0.1667
    assert found["fixed_pattern"] < 0.3
    assert found["above_fixed_pattern_95_ci"][0] > 0.5
    assert found["above_chance_95_ci"][0] > 0.5


def test_a_map_that_always_points_at_the_bases_gains_nothing_over_the_fixed_pattern() -> None:
    generator = np.random.default_rng(6)
    scores = np.tile([0.0, 1, 3, 0, 1, 3], (20, 1)) + generator.random((20, 6)) * 0.1
    heat = np.tile([1.0, 2, 9, 1, 3, 8], (20, 1)) * generator.random((20, 1))
    found = zone_agreement(heat, scores, np.arange(20))
    assert found["correlation"] > 0.7
    assert found["above_fixed_pattern"] == pytest.approx(0, abs=1e-3)
    assert found["usual_zones"] > 0.7
    assert found["above_usual_zones"] < 0.2


def test_films_without_an_order_of_scores_or_heat_are_left_out() -> None:
    scores = np.array([[3.0] * 6, [0, 1, 2, 3, 3, 0], [0, 1, 2, 3, 3, 0]])
    heat = np.array([[1.0, 2, 3, 4, 5, 6], [0] * 6, [0, 1, 2, 3, 4, 0]])
    found = zone_agreement(heat, scores, np.array(["a", "b", "c"]))
    assert (found["n"], found["without_order"]) == (1, 2)
    assert found["chance"] == 0.3333
    assert found["hottest"] == 1.0
    assert found["fixed_pattern"] is None
    assert found["usual_zones"] is None
    assert zone_agreement(heat[:2], scores[:2], np.array(["a", "b"]))["correlation"] is None


def test_brixia_scores_are_the_mean_of_two_radiologists(tmp_path: Path) -> None:
    file = tmp_path / "brixia-scores.csv"
    file.write_text(f"{HEADER}\nfilm.png,0,1,2,3,0,1,7,1,1,3,3,0,2,10\n", encoding="utf-8")
    table = read_brixia(file)
    assert table.loc["film.png"].tolist() == [0.5, 1, 2.5, 3, 0, 1.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("filename,S-A\nx,1\n", "not in the layout"),
        (f"{HEADER}\nfilm.png,0,1,2,4,0,1,7,1,1,3,3,0,2,10\n", "film.png: two rows, or a score"),
        (f"{HEADER}\n" + "film.png,0,1,2,3,0,1,7,1,1,3,3,0,2,10\n" * 2, "film.png: two rows, or a score"),
        (f"{HEADER}\nfilm.png,0,1,x,3,0,1,7,1,1,3,3,0,2,10\n", "not in the layout"),
    ],
)
def test_a_table_that_is_no_brixia_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "scores.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_brixia(file)


def test_a_missing_brixia_table_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="public-annotations"):
        read_brixia(tmp_path / "none.csv")


@pytest.mark.data
def test_the_published_brixia_scores_read(real_data: Path) -> None:
    table = read_brixia(real_data / "covid-chestxray-dataset" / "brixia-scores.csv")
    assert table.shape == (192, 6)
    assert table.to_numpy().min() == 0
    assert table.to_numpy().max() == 3
