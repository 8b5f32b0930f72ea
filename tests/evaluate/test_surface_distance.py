"""Distances between outlines against brute force, distance transforms and values known by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lunglens.evaluate.surface_distance import agreement, directed_distances, distances, grid_spacing, iou, surface
from tests.support.phantom import chest

SEEDS = st.integers(0, 2**32 - 1)


def blobs(seed: int) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Two masks of one odd shape, each with something in it, and a spacing."""
    generator = np.random.default_rng(seed)
    shape = tuple(generator.integers(3, 24, 2))
    noise = [ndimage.gaussian_filter(generator.normal(size=shape), generator.uniform(0, 2)) for _ in range(2)]
    first, second = (values > np.quantile(values, generator.uniform(0.1, 0.9)) for values in noise)
    return first, second, tuple(generator.uniform(0.1, 3, 2))


def outline(mask: np.ndarray) -> list[tuple[int, int]]:
    """The surface by its definition, pixel by pixel."""
    height, width = mask.shape
    inside = {(row, column) for row, column in np.argwhere(mask).tolist()}
    neighbours = ((-1, 0), (1, 0), (0, -1), (0, 1))
    assert all(0 <= row < height and 0 <= column < width for row, column in inside)
    return sorted((r, c) for r, c in inside if any((r + dr, c + dc) not in inside for dr, dc in neighbours))


def nearest(ours: list, theirs: list, spacing: tuple[float, float]) -> list[float]:
    return [min(np.hypot((r - a) * spacing[0], (c - b) * spacing[1]) for a, b in theirs) for r, c in ours]


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_distances_are_those_of_every_pixel_to_every_other(seed: int) -> None:
    first, second, spacing = blobs(seed)
    there = nearest(outline(first), outline(second), spacing)
    back = nearest(outline(second), outline(first), spacing)
    hd95, assd = distances(first, second, spacing)
    assert hd95 == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert assd == pytest.approx(np.mean(there + back))


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_distances_are_those_of_a_distance_transform(seed: int) -> None:
    first, second, spacing = blobs(seed)
    field = ndimage.distance_transform_edt(~surface(second), sampling=spacing)
    np.testing.assert_allclose(directed_distances(first, second, spacing)[0], field[surface(first)])


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_neither_mask_comes_first(seed: int) -> None:
    first, second, spacing = blobs(seed)
    there, back = agreement(first, second, spacing), agreement(second, first, spacing)
    assert list(vars(there).values()) == pytest.approx(list(vars(back).values()))


def test_the_surface_is_what_an_erosion_takes_away() -> None:
    lungs = chest(0, 128)[1]
    np.testing.assert_array_equal(surface(lungs), lungs & ~ndimage.binary_erosion(lungs))
    full = surface(np.ones((4, 5), bool))
    assert full.sum() == 14  # the edge of the picture is an outline too


def test_a_square_moved_by_three_pixels() -> None:
    truth = np.zeros((30, 30), bool)
    truth[10:20, 10:20] = True
    moved = np.roll(truth, 3, axis=1)
    found = agreement(moved, truth)
    assert (found.dice, found.iou) == (0.7, pytest.approx(70 / 130))
    assert found.hd95_px == 3.0
    assert found.assd_px == pytest.approx(np.mean(nearest(outline(moved), outline(truth), (1, 1))))
    assert (found.hd95_mm, found.assd_mm) == (None, None)


def test_rows_and_columns_have_their_own_spacing() -> None:
    truth = np.zeros((40, 40), bool)
    truth[10:30, 10:30] = True
    across, down = np.roll(truth, 2, axis=1), np.roll(truth, 2, axis=0)
    assert agreement(across, truth, (0.1, 0.5)).hd95_mm == pytest.approx(1.0)
    assert agreement(down, truth, (0.1, 0.5)).hd95_mm == pytest.approx(0.2)


def test_the_larger_direction_counts_for_hd95_and_both_for_the_mean() -> None:
    truth = np.zeros((60, 60), bool)
    truth[5:15, 5:15] = True
    predicted = truth.copy()
    predicted[50:54, 50:54] = True  # an island that truth knows nothing of
    there, back = directed_distances(predicted, truth)
    assert back.max() == 0
    hd95, assd = distances(predicted, truth)
    assert hd95 == np.percentile(there, 95) > np.percentile(np.append(there, back), 95)
    assert assd == pytest.approx(there.sum() / (len(there) + len(back)))


def test_empty_masks_agree_and_a_missing_lung_is_as_far_as_can_be() -> None:
    empty, lungs = np.zeros((4, 5), bool), np.ones((4, 5), bool)
    both = agreement(empty, empty, (1.0, 2.0))
    assert (both.dice, both.iou, both.hd95_px, both.assd_px, both.hd95_mm, both.assd_mm) == (1, 1, 0, 0, 0, 0)
    for one in (agreement(empty, lungs, (1.0, 2.0)), agreement(lungs, empty, (1.0, 2.0))):
        assert (one.dice, one.iou, one.hd95_px, one.assd_px) == (0, 0, 5, 5)
        assert one.hd95_mm == one.assd_mm == pytest.approx(np.hypot(3, 8))


def test_overlap_of_equal_and_disjoint_masks() -> None:
    lungs = chest(1, 64)[1]
    same = agreement(lungs, lungs, (0.3, 0.3))
    assert (same.dice, same.iou, same.hd95_px, same.assd_px, same.hd95_mm) == (1, 1, 0, 0, 0)
    assert iou(lungs, ~lungs) == 0


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_dice_and_iou_tell_the_same(seed: int) -> None:
    first, second, _ = blobs(seed)
    found = agreement(first, second)
    assert found.dice == pytest.approx(2 * found.iou / (1 + found.iou))


def test_masks_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(4, 5\) and \(5, 4\)"):
        agreement(np.ones((4, 5), bool), np.ones((5, 4), bool))


def test_a_squashed_film_has_larger_pixels_in_its_longer_direction() -> None:
    assert grid_spacing((0.0875, 0.0875), (4892, 4020), 512) == pytest.approx((0.836035, 0.687012), abs=1e-6)
