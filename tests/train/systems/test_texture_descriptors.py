"""Each descriptor against scikit-image or its formula, written out pixel by pixel in numpy."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import correlate, correlate1d
from skimage.feature import local_binary_pattern

from lunglens.train.systems.texture.descriptors import DESCRIPTORS, EQP, LBP, LDN, LETRIST, LPQ, OBIF, bsif_filters
from tests.support.phantom import chest

LENGTHS = {"lbp": 59, "lpq": 256, "ldn": 56, "letrist": 413, "bsif": 256, "eqp": 256, "obif": 529}
Picture = NDArray[np.float64]


@pytest.fixture(scope="module")
def picture() -> Picture:
    """Smooth texture with noise, and a black corner as cut films have it."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:48, :40]
    found = 120 + 60 * np.sin(rows / 5) * np.cos(columns / 7) + random.normal(0, 12, (48, 40))
    found = np.rint(found.clip(0, 255))
    found[:12, :15] = 0
    return found


def described(name: str, *pictures: Picture) -> NDArray[np.float32]:
    with torch.inference_mode():
        found: NDArray[np.float32] = DESCRIPTORS[name]()(torch.tensor(np.array(pictures)).float()[:, None]).numpy()
    return found


def shares(codes: NDArray[np.int64], bins: int) -> Picture:
    return np.bincount(codes.ravel(), minlength=bins) / codes.size


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_a_descriptor_has_its_published_length_and_sums_to_1(name: str, picture: Picture) -> None:
    black, gray = np.zeros_like(picture), np.full_like(picture, 131)
    found = described(name, picture, black, gray, picture[::-1])
    assert found.shape == (4, LENGTHS[name]) == (4, DESCRIPTORS[name].length)
    assert found.min() >= 0
    assert np.allclose(found.sum(1), 1, atol=1e-5)
    assert np.array_equal(found[0], described(name, picture)[0])  # whoever is beside it
    if name != "lbp":  # whose edge is black, and whose neighbours scikit-image rounds
        assert np.allclose(found[1], found[2], atol=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_lbp_is_scikit_image_s_to_the_last_pixel(seed: int) -> None:
    """Films have many equal neighbours, where rounding decides."""
    film = chest(seed, 128)[0]
    film = np.rint(film * 255 / film.max()).astype(np.uint8)
    expected = local_binary_pattern(film, 8, 2, "nri_uniform").astype(int)
    assert np.array_equal(described("lbp", film.astype(float))[0], shares(expected, 59).astype(np.float32))
    assert np.count_nonzero(shares(expected, 59)) > 30


def test_ldn_names_two_different_directions_always(picture: Picture) -> None:
    masks = [[[-3, -3, 5], [-3, 0, 5], [-3, -3, 5]], [[-3, 5, 5], [-3, 0, 5], [-3, -3, -3]]]
    masks = [np.rot90(masks[k % 2], k // 2) for k in range(8)]
    answers = np.array([correlate(picture, mask, mode="nearest") for mask in masks])
    i, j = answers.argmax(0), 7 - answers[::-1].argmin(0)
    assert not (i == j).any()
    with torch.inference_mode():
        found = LDN().directions(torch.tensor(picture).float()[None, None])
    assert np.array_equal(found[0][0], i)
    assert np.array_equal(found[1][0], j)
    kept = [code for code in range(64) if code // 8 != code % 8]
    assert np.allclose(described("ldn", picture)[0], shares(8 * i + j, 64)[kept])


def test_lpq_is_the_signs_of_whitened_fourier_coefficients(picture: Picture) -> None:
    x = np.arange(-3, 4)
    waves = [np.exp(-2j * np.pi * x * u / 7) for u in (0, 1, -1)]
    pairs = [(0, 1), (1, 0), (1, 1), (2, 1)]  # rows, columns
    windows = np.lib.stride_tricks.sliding_window_view(picture, (7, 7))
    coefficients = [np.einsum("hwij,i,j->hw", windows, waves[v], waves[u]) for v, u in pairs]
    vector = np.array([np.real(c) for c in coefficients] + [np.imag(c) for c in coefficients])
    basis = [np.outer(waves[v], waves[u]).ravel() for v, u in pairs]
    basis = np.array([np.real(b) for b in basis] + [np.imag(b) for b in basis])
    filters = LPQ().filters.weight[:, 0].double().numpy().reshape(8, -1)
    mixing = np.linalg.lstsq(basis.T, filters.T, rcond=None)[0].T  # each filter is a mixture of the waves
    assert np.allclose(mixing @ basis, filters, atol=1e-6)
    rows, columns = np.divmod(np.arange(49), 7)
    covariance = 0.9 ** np.hypot(rows[:, None] - rows, columns[:, None] - columns)
    between = filters @ covariance @ filters.T
    assert np.allclose(between, np.diag(np.diag(between)), atol=1e-4)  # decorrelated
    bits = np.tensordot(mixing, vector, 1) > 0.01
    expected = shares((bits * (1 << np.arange(8))[:, None, None]).sum(0), 256)
    assert np.abs(described("lpq", picture)[0] - expected).sum() < 0.004


def test_bsif_is_the_signs_of_its_filters_on_a_picture_that_goes_round(picture: Picture) -> None:
    filters = bsif_filters()
    assert filters.shape == (8, 11, 11)
    assert np.abs(filters.sum((1, 2))).max() < 1e-4  # of patches without their mean
    assert np.abs(np.triu(np.corrcoef(filters.reshape(8, -1)), 1)).max() < 0.9
    answers = np.array([correlate(picture, one, mode="wrap") for one in filters])
    expected = shares(((answers > 0.01) * (1 << np.arange(8))[:, None, None]).sum(0), 256)
    assert np.abs(described("bsif", picture)[0] - expected).sum() < 0.004


def test_eqp_looks_at_eight_points_of_an_ellipse(picture: Picture) -> None:
    expected = np.zeros(256)
    wide = np.pad(picture, 4, mode="edge")
    for row, column in np.ndindex(picture.shape):
        patterns = np.zeros(4, int)
        for k in range(8):
            angle = k * math.pi / 4
            radius = 6 / math.sqrt(9 * math.sin(angle) ** 2 + 4 * math.cos(angle) ** 2)
            y, x = row + 4 - radius * math.sin(angle), column + 4 + radius * math.cos(angle)
            top, left = math.floor(y + 1e-9), math.floor(x + 1e-9)
            dy, dx = y - top, x - left
            upper, lower = ((1 - dx) * wide[r, left] + dx * wide[r, left + 1] for r in (top, top + 1))
            d = (1 - dy) * upper + dy * lower - picture[row, column] + 0.01
            level = 2 if d >= 10 else 1 if d >= 5 else 0 if d >= -5 else -1 if d >= -10 else -2
            if level:
                patterns[[2, 1, -1, -2].index(level)] |= 1 << k
        np.add.at(expected, patterns, 1)
    assert np.allclose(described("eqp", picture)[0], expected / expected.sum(), atol=1e-6)
    assert EQP.length == 256


def derivatives(picture: Picture, sigma: int) -> list[Picture]:
    """Smooth, x, y, xx, xy, yy, times sigma to their order."""
    x = np.arange(-3 * sigma, 3 * sigma + 1)
    g = np.exp(-(x**2) / (2 * sigma**2))
    g /= g.sum()
    second = (x**2 / sigma**2 - 1) * g
    kernels = g, x / sigma * g, second - second.sum() * g
    pairs = [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0)]
    rows = [correlate1d(picture, kernel, 1, mode="nearest") for kernel in kernels]
    return [correlate1d(rows[i], kernels[j], 0, mode="nearest") for j, i in pairs]


def test_letrist_joins_shape_edge_and_ratio_over_scales(picture: Picture) -> None:
    levels = []
    for sigma in (1, 2, 4):
        _, x, y, xx, xy, yy = derivatives(picture, sigma)
        g, d = np.hypot(x, y), np.sqrt((xx - yy) ** 2 + 4 * xy**2)
        shape = 0.5 - np.arctan((-xx - yy) / (d + 0.01)) / math.pi
        ratio = 2 / math.pi * np.arctan(d / (g + 0.01))
        levels.append((np.digitize(shape, [1 / 3, 2 / 3]), g > 2 * g.mean(), d > 2 * d.mean(), (ratio * 5).astype(int)))
    expected = []
    for one, two in ((levels[0], levels[1]), (levels[1], levels[2])):
        parts = (one[0], two[0], one[1] * 1, one[2] * 1, two[1] * 1, two[2] * 1)
        code = np.ravel_multi_index(parts, (3, 3, 2, 2, 2, 2))
        expected.append(shares(code, 144))
    expected.append(shares(np.ravel_multi_index([level[3] for level in levels], (5, 5, 5)), 125))
    assert np.abs(described("letrist", picture)[0] - np.concatenate(expected) / 3).sum() < 0.004
    assert LETRIST.length == 144 + 144 + 125


def test_obif_is_the_strongest_of_seven_features_at_two_scales(picture: Picture) -> None:
    symbols = []
    for sigma in (2, 4):
        smooth, x, y, xx, xy, yy = derivatives(picture, sigma)
        blob, twist = xx + yy, np.sqrt((xx - yy) ** 2 + 4 * xy**2)
        line = np.rint(np.arctan2(2 * xy, xx - yy) / (2 * math.pi) * 4).astype(int) % 4
        slope = np.rint(np.arctan2(y, x) / (2 * math.pi) * 8).astype(int) % 8
        lines = [(twist + blob) / 2**0.5, (twist - blob) / 2**0.5]
        ways = [0.001 * smooth, 2 * np.hypot(x, y), blob, -blob, *lines, twist]
        kind = np.argmax(ways, 0)
        symbols.append(np.choose(kind, [0, 1 + slope, 9, 10, 11 + line, 15 + line, 19 + line]))
    expected = shares(symbols[0] * 23 + symbols[1], 529)
    assert np.abs(described("obif", picture)[0] - expected).sum() < 0.004
    assert OBIF.length == 23**2


def test_a_turned_edge_turns_the_symbols() -> None:
    """A slope to the right and one upwards are different symbols of oBIF, and other codes of LBP."""
    ramp = np.tile(np.arange(64.0), (64, 1))
    across, up = described("obif", ramp, ramp.T[::-1])
    assert across.argmax() != up.argmax()
    assert np.isclose(across.max(), up.max())
    assert LBP.length == 59
