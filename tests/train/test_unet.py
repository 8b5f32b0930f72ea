"""The UNet of table 4, its loss and its training data."""

import numpy as np
import pytest
import torch

from lunglens.train.losses import soft_dice, soft_dice_loss
from lunglens.train.networks.unet import UNet


def test_paper_size_has_the_paper_s_parameters_and_shapes() -> None:
    unet = UNet(32).eval()
    assert sum(p.numel() for p in unet.parameters()) == 7_759_521
    with torch.inference_mode():
        levels = unet.encode(torch.zeros(1, 1, 512, 512))
        logits = unet.decode(levels)
    expected = [(1, 32, 512, 512), (1, 64, 256, 256), (1, 128, 128, 128), (1, 256, 64, 64), (1, 512, 32, 32)]
    assert [tuple(level.shape) for level in levels] == expected
    assert tuple(logits.shape) == (1, 1, 512, 512)
    assert [tuple(up.weight.shape[:2]) for up in unet.up] == [(512, 256), (256, 128), (128, 64), (64, 32)]


def test_soft_dice_is_the_paper_s_formula() -> None:
    generator = np.random.default_rng(0)
    p, g = generator.random((3, 1, 8, 8)), generator.random((3, 1, 8, 8)) > 0.5
    expected = [2 * (a * b).sum() / ((a**2).sum() + (b**2).sum()) for a, b in zip(p, g, strict=True)]
    found = soft_dice(torch.from_numpy(p), torch.from_numpy(g.astype(float)))
    assert found.numpy() == pytest.approx(expected, rel=1e-5)


def test_soft_dice_of_two_empty_masks_is_one() -> None:
    assert soft_dice(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)).item() == 1.0


def test_loss_falls_when_the_network_learns_one_image() -> None:
    torch.manual_seed(0)
    unet = UNet(4)
    image = torch.rand(1, 1, 32, 32)
    target = (image > 0.5).float()
    optimizer = torch.optim.Adam(unet.parameters(), 0.01)
    first = soft_dice_loss(unet(image), target).item()
    for _ in range(30):
        optimizer.zero_grad()
        loss = soft_dice_loss(unet(image), target)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.6 * first
