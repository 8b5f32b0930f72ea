"""The gate: which lung is which, what is refused in which words, and the images it learns to refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lunglens.film.gate.judge import LinearCheck, gate_features, judge
from lunglens.film.lungs.postprocess import LungMask, lung_region
from lunglens.film.lungs.segmenter import Segmentation
from lunglens.film.lungs.sides import lung_sides
from lunglens.film.model_package.record import Check
from lunglens.film.parameters import Postprocess
from lunglens.train.gate.negatives import spoiled, synthetic
from tests.support.phantom import chest

SIZE = 512
FEATURES = 6
ALWAYS = LinearCheck(np.zeros(FEATURES + 8), np.ones(FEATURES + 8), np.zeros(FEATURES + 8), bias=0.0, threshold=0.0)


def ellipse(row: float, column: float, height: float = 150, width: float = 70) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE]
    return ((y - row) / height) ** 2 + ((x - column) / width) ** 2 < 1


def segmentation(fields: np.ndarray) -> Segmentation:
    mask = LungMask(fields, lung_region(fields, Postprocess()), fields.astype(np.float32)[None])
    return Segmentation(np.zeros((64, 64), np.float32), mask, np.zeros(FEATURES, np.float32))


FILM = chest(0, 128)[0]
ON_LEFT, ON_RIGHT = ellipse(256, 150), ellipse(256, 360)


# --- left and right


def test_the_patient_s_right_lung_is_on_the_left_of_the_film() -> None:
    left, right = lung_sides(ON_LEFT | ON_RIGHT)
    assert np.array_equal(right, ON_LEFT)
    assert np.array_equal(left, ON_RIGHT)


def test_a_chest_that_lies_to_one_side_is_still_parted_in_its_own_middle() -> None:
    shift = 110
    left, right = lung_sides(np.roll(ON_LEFT | ON_RIGHT, -shift + 40, axis=1))
    assert np.array_equal(right, np.roll(ON_LEFT, -shift + 40, axis=1))
    assert np.array_equal(left, np.roll(ON_RIGHT, -shift + 40, axis=1))


def test_one_merged_region_is_cut_in_its_middle() -> None:
    merged = ON_LEFT | ON_RIGHT
    merged[200:210, 150:360] = True
    left, right = lung_sides(merged)
    assert np.array_equal(left | right, merged)
    assert not (left & right).any()
    assert left.sum() == pytest.approx(right.sum(), rel=0.02)
    assert np.flatnonzero(right.any(0)).max() + 1 == np.flatnonzero(left.any(0)).min() == 256


def test_three_regions_go_to_the_side_of_their_centre() -> None:
    upper, lower = ellipse(120, 140, 80, 50), ellipse(400, 170, 60, 50)
    left, right = lung_sides(upper | lower | ON_RIGHT)
    assert np.array_equal(right, upper | lower)
    assert np.array_equal(left, ON_RIGHT)


def test_a_single_lung_is_on_the_side_of_the_film_it_lies_on() -> None:
    for lung, side in [(ON_LEFT, 1), (ON_RIGHT, 0)]:
        sides = lung_sides(lung)
        assert np.array_equal(sides[side], lung)
        assert not sides[1 - side].any()


def test_no_lungs_have_no_sides() -> None:
    left, right = lung_sides(np.zeros((SIZE, SIZE), bool))
    assert left.shape == right.shape == (SIZE, SIZE)
    assert not (left | right).any()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_both_sides_together_are_the_fields(seed: int) -> None:
    generator = np.random.default_rng(seed)
    fields = np.kron(generator.random((8, 8)) < 0.3, np.ones((8, 8))).astype(bool)
    left, right = lung_sides(fields)
    assert np.array_equal(left | right, fields)
    assert not (left & right).any()


# --- the judgement


def test_two_lungs_on_a_film_are_accepted_with_their_areas() -> None:
    result = judge(FILM, segmentation(ON_LEFT | ellipse(256, 360, 120)), ALWAYS)
    assert (result.accepted, result.reason) == (True, None)
    assert result.right_share == pytest.approx(np.pi * 150 * 70 / SIZE**2, rel=0.01)
    assert result.left_share == pytest.approx(np.pi * 120 * 70 / SIZE**2, rel=0.01)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (np.zeros((SIZE, SIZE), bool), "no lungs found"),
        (ellipse(256, 150, 40, 30) | ellipse(256, 360, 40, 30), "no lungs found: lung area 3% of the film"),
        (ON_LEFT, "only one lung"),
        (ON_RIGHT, "only one lung"),
        (ON_LEFT | ellipse(100, 360, 20, 20), "only one lung"),
        (np.ones((SIZE, SIZE), bool), "not plausible as lungs: 100%"),
    ],
)
def test_without_two_plausible_lungs_the_film_is_refused_whatever_the_check_says(
    fields: np.ndarray, reason: str
) -> None:
    result = judge(FILM, segmentation(fields), ALWAYS)
    assert not result.accepted
    assert reason in (result.reason or "")


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_blank_film_is_refused_first(value: float) -> None:
    blank = np.full((64, 64), value, np.float32)
    blank[:4, 0] = 0.7  # a scratch
    for fields in (ON_LEFT | ON_RIGHT, ON_LEFT):
        assert "blank" in (judge(blank, segmentation(fields), ALWAYS).reason or "")


@pytest.mark.parametrize("span", [1e-5, 0.01, 1.0])
def test_a_film_is_not_blank_whatever_its_scale(span: float) -> None:
    assert judge(FILM * np.float32(span), segmentation(ON_LEFT | ON_RIGHT), ALWAYS).accepted


def test_the_learned_check_refuses_below_its_threshold_with_its_score() -> None:
    lungs = segmentation(ON_LEFT | ON_RIGHT)
    half = LinearCheck(ALWAYS.mean, ALWAYS.scale, ALWAYS.weights, bias=0.0, threshold=0.5)
    assert judge(FILM, lungs, half).accepted
    strict = LinearCheck(ALWAYS.mean, ALWAYS.scale, ALWAYS.weights, bias=0.0, threshold=0.51)
    result = judge(FILM, lungs, strict)
    assert not result.accepted
    assert result.frontal_score == 0.5
    assert "score 0.50, at least 0.51" in (result.reason or "")


def test_gate_features_are_the_network_s_and_the_mask_s() -> None:
    found = gate_features(segmentation(ON_LEFT | ON_RIGHT))
    assert found.shape == (FEATURES + 8,)
    left, right, difference, row, column = found[FEATURES : FEATURES + 5]
    assert (left, right) == (pytest.approx(ON_RIGHT.mean()), pytest.approx(ON_LEFT.mean()))
    assert difference == pytest.approx(abs(left - right))
    assert (row, column) == (pytest.approx(0.5, abs=0.01), pytest.approx(255 / 512, abs=0.01))
    assert not gate_features(segmentation(ON_LEFT & ~ON_LEFT)).any()


# --- the linear check


def random_check(seed: int, count: int = 20) -> LinearCheck:
    generator = np.random.default_rng(seed)
    mean, weights = generator.normal(size=(2, count))
    return LinearCheck(mean, generator.random(count) + 0.01, weights, float(generator.normal()), 0.3)


@given(st.integers(0, 1000))
def test_a_check_comes_back_from_its_package_with_the_same_scores(seed: int) -> None:
    check = random_check(seed)
    again = LinearCheck.of(Check.model_validate(check.to_parameters()))
    features = np.random.default_rng(seed + 1).normal(size=20)
    assert again.score(features) == pytest.approx(check.score(features), abs=1e-3)
    assert (again.bias, again.threshold) == (check.bias, check.threshold)
    assert again.to_parameters() == check.to_parameters()


def test_a_score_is_the_logistic_function_of_the_standardised_features() -> None:
    check = LinearCheck(np.array([1.0, 2.0]), np.array([2.0, 1.0]), np.array([0.5, -1.0]), 0.25, 0.5)
    assert check.score(np.array([3.0, 1.5])) == pytest.approx(1 / (1 + np.exp(-(0.5 * 1 - 1.0 * -0.5 + 0.25))))


def test_features_far_outside_do_not_overflow_or_decide_alone() -> None:
    check = LinearCheck(np.zeros(2), np.ones(2), np.array([0.1, 1.0]), 0.0, 0.5)
    with np.errstate(all="raise"):
        assert check.score(np.array([1e12, 0.0])) == check.score(np.array([8.0, 0.0])) < 0.7
        assert check.score(np.array([0.0, -1e30])) < 0.001


# --- images to refuse


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([32, 65, 128]))
def test_synthetic_images_use_the_whole_range_and_go_by_the_seed(seed: int, size: int) -> None:
    image = synthetic(np.random.default_rng(seed), size)
    assert (image.shape, image.dtype) == ((size, size), np.float32)
    assert (image.min(), image.max()) == (0, 1)
    assert np.array_equal(image, synthetic(np.random.default_rng(seed), size))


def test_synthetic_images_differ() -> None:
    generator = np.random.default_rng(0)
    made = [synthetic(generator, 32) for _ in range(30)]
    assert len({image.tobytes() for image in made}) == 30


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_spoiled_films_keep_shape_and_range_and_go_by_the_seed(seed: int) -> None:
    before = FILM.copy()
    image = spoiled(FILM, np.random.default_rng(seed))
    assert (image.shape, image.dtype) == (FILM.shape, np.float32)
    assert image.min() >= FILM.min() - 1e-6
    assert image.max() <= FILM.max() + 1e-6
    assert np.array_equal(image, spoiled(FILM, np.random.default_rng(seed)))
    assert np.array_equal(FILM, before)


def test_a_spoiled_film_is_never_the_film_itself() -> None:
    film = np.arange(64, dtype=np.float32).reshape(8, 8) / 63
    generator = np.random.default_rng(0)
    assert not any(np.array_equal(spoiled(film, generator), film) for _ in range(1000))
