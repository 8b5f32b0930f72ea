"""Table 3: one warp for image and mask, and the ranges of the intensity steps."""

import pytest
import torch

from lunglens.study.config.training import Augment
from lunglens.train.augment import augment, intensities, random_affines, warp

STILL = Augment(
    scale=(1, 1),
    rotate_deg=0,
    shear=0,
    gamma=(1, 1),
    salt_pepper_probability=0,
    blur_probability=0,
    noise_probability=0,
)


def test_without_ranges_nothing_changes() -> None:
    images, masks = torch.rand(2, 1, 32, 32), (torch.rand(2, 1, 32, 32) > 0.5).float()
    new_images, new_masks = augment(images, masks, STILL)
    assert torch.allclose(new_images, images, atol=1e-5)
    assert torch.equal(new_masks, masks)


def test_image_and_mask_go_through_the_same_warp() -> None:
    torch.manual_seed(1)
    masks = torch.zeros(8, 1, 64, 64)
    masks[..., 20:44, 12:40] = 1
    images, warped = warp(masks.clone(), masks, Augment())
    disagree = ((images > 0.5).float() != warped).float().mean()
    assert disagree < 0.01
    assert set(warped.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(warped, masks)


@pytest.mark.parametrize("scale", [0.8, 1.1])
def test_scale_and_rotation_are_what_they_say(scale: float) -> None:
    settings = STILL.model_copy(update={"scale": (scale, scale), "rotate_deg": 45.0})
    linear = random_affines(50, 64, 64, settings)[:, :, :2]
    assert torch.allclose(torch.linalg.det(linear), torch.full((50,), scale**2), atol=1e-4)
    angles = torch.rad2deg(torch.atan2(linear[:, 1, 0], linear[:, 0, 0]))
    assert angles.abs().max() <= 45.01
    assert angles.std() > 10


def test_centre_stays_in_place() -> None:
    matrices = random_affines(20, 65, 65, Augment())
    centre = torch.tensor([32.0, 32.0, 1.0])
    assert torch.allclose(matrices @ centre, centre[:2].expand(20, 2), atol=1e-3)


def test_flip_mirrors_left_and_right() -> None:
    images = torch.zeros(1, 1, 8, 8)
    images[..., 0] = 1
    flipped, _ = warp(images, images, STILL.model_copy(update={"flip_probability": 1.0}))
    assert torch.allclose(flipped, images.flip(-1), atol=1e-4)


def test_salt_and_pepper_touches_its_share() -> None:
    torch.manual_seed(0)
    settings = STILL.model_copy(update={"salt_pepper_probability": 1.0, "salt_pepper_fraction": 0.01})
    extremes = (intensities(torch.full((4, 1, 200, 200), 0.5), settings) - 0.5).abs() > 0.4
    assert extremes.float().mean() == pytest.approx(0.01, abs=0.003)


def test_noise_is_relative_to_the_image() -> None:
    torch.manual_seed(0)
    settings = STILL.model_copy(update={"noise_probability": 1.0, "noise_gain": 0.5})
    images = 0.5 + 0.02 * torch.randn(4, 1, 100, 100)
    added = intensities(images, settings) - images
    assert added.std().item() == pytest.approx(0.01, rel=0.1)


def test_everything_stays_in_range() -> None:
    images, masks = augment(
        torch.rand(6, 1, 64, 64), torch.ones(6, 1, 64, 64), Augment(contrast=(0.5, 2), brightness=0.5)
    )
    assert images.min() >= 0
    assert images.max() <= 1
    assert torch.isfinite(images).all()
    assert set(masks.unique().tolist()) <= {0.0, 1.0}
