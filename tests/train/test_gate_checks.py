"""Linear checks on features, and the badly made films that they learn from."""

import numpy as np
import pytest
from scipy import ndimage

from lunglens.film.gate.traits import SHARPNESS, trait_features
from lunglens.film.lungs.postprocess import LungMask
from lunglens.film.lungs.segmenter import Segmentation
from lunglens.film.preprocess import film_square
from lunglens.train.gate.checks import Limit, Samples, elsewhere, fit_check
from lunglens.train.gate.negatives import badly_made
from tests.support.phantom import chest


def samples(distance: float) -> Samples:
    """Films of two sources and children of one and the other, their features so far apart (in deviations)."""
    generator = np.random.default_rng(0)
    kind = np.array(["film"] * 400 + ["child"] * 100)
    features = generator.standard_normal((500, 3))
    features[kind == "child", 0] += distance
    source = np.where(np.arange(500) % 2, "one", "two")
    return Samples(features, kind, source, np.array([f"p{n // 2}" for n in range(500)]))


def test_a_check_tells_what_can_be_told_and_flags_the_share_it_may() -> None:
    check, report = fit_check(samples(6), "child", Limit(0.05), seed=0)
    assert report["film"] == {"n": 400, "share": 0.05}
    assert report["child"]["share"] > 0.99
    assert check.threshold == pytest.approx(report["threshold"], abs=1e-4)
    _, blind = fit_check(samples(0), "child", Limit(0.05), seed=0)
    assert blind["child"]["share"] < 0.2


def test_without_a_limit_the_threshold_is_one_half_and_kinds_weigh_the_same() -> None:
    check, report = fit_check(samples(2), "child", None, seed=0)
    assert check.threshold == 0.5
    assert report["film"]["share"] == pytest.approx(1 - report["child"]["share"], abs=0.05)


def test_a_source_is_judged_by_a_check_that_never_saw_it() -> None:
    found = elsewhere(samples(2), "child")
    assert set(found) == {"one", "two"}
    assert all(0.85 < of["value"] < 0.97 and of["n"] == [50, 200] for of in found.values())
    told = samples(0)
    told.features[:, 1] = (told.kind == "child") == (told.source == "one")  # means the opposite in the other source
    assert all(of["value"] < 0.1 for of in elsewhere(told, "child").values())
    _, report = fit_check(told, "child", None, seed=0)
    assert all(of["value"] > 0.4 for of in report["auroc"].values())
    one = told.rows((told.source == "one") | (told.kind == "film"))
    assert elsewhere(one, "child") == {}
    assert set(fit_check(one, "child", None, seed=0)[1]["auroc"]) == {"one"}


@pytest.mark.parametrize("axis", [0, 1])
def test_sharpness_tells_motion_and_its_direction_and_not_the_contrast(axis: int) -> None:
    film, mask = chest(3, 256)[0][:128, :128].astype(np.float32), np.ones((512, 512), bool)
    film += 0.1 * np.random.default_rng(0).standard_normal(film.shape).astype(np.float32)

    def sharpness(pixels: np.ndarray) -> np.ndarray:
        lungs = LungMask(mask, mask, mask[None].astype(np.float32))
        return trait_features(Segmentation(pixels.astype(np.float32), lungs, np.zeros(1, np.float32)))[-SHARPNESS:]

    still, moved = sharpness(film), sharpness(ndimage.uniform_filter1d(film, 5, axis=axis))
    along, across = np.split(moved - still, 2)[:: 1 if axis == 0 else -1]
    assert along[0] < across[0] - 0.5
    assert np.allclose(sharpness(0.5 * film), still, atol=0.02)


def test_badly_made_films_are_what_they_are_called() -> None:
    film = film_square(chest(3, 256)[0], 128)
    made = badly_made(film, np.random.default_rng(0))
    assert set(made) == {"over-exposed", "under-exposed", "moved"}
    assert all(image.shape == film.shape and image.min() == 0 and image.max() == 1 for image in made.values())
    assert (made["over-exposed"] == 0).mean() > (film == 0).mean() + 0.05
    assert (made["under-exposed"] > 0.9).mean() > (film > 0.9).mean() + 0.05
    steps = {
        name: np.abs(np.diff(image, axis=0)).mean() + np.abs(np.diff(image)).mean() for name, image in made.items()
    }
    assert steps["moved"] < 0.9 * (np.abs(np.diff(film, axis=0)).mean() + np.abs(np.diff(film)).mean())
