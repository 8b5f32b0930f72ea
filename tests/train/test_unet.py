"""The UNet of table 4, its loss and its training data."""

import numpy as np
import pytest
import timm
import torch

from lunglens.errors import ConfigurationError
from lunglens.study.config.training import LungsConfig
from lunglens.train.losses import soft_dice, soft_dice_loss
from lunglens.train.networks import unet as module
from lunglens.train.networks.unet import UNet, create_unet


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


def test_an_encoder_of_timm_has_a_level_more_and_ends_with_its_own_deepest_maps() -> None:
    unet = UNet(4, batch_norm=True, masks=2, trunk="tf_efficientnet_lite0").eval()
    with torch.inference_mode():
        levels = unet.encode(torch.rand(1, 1, 64, 96))
        logits = unet.decode(levels)
    assert [level.shape[1] for level in levels] == [4, 16, 24, 40, 112, 320]
    assert [tuple(level.shape[2:]) for level in levels[::5]] == [(64, 96), (2, 3)]
    assert tuple(logits.shape) == (1, 2, 64, 96)


def test_a_network_of_timm_without_such_levels_is_no_encoder() -> None:
    with pytest.raises(ConfigurationError, match="encoder vit_tiny"):
        UNet(4, trunk="vit_tiny_patch16_224")


def test_an_encoder_of_timm_starts_with_what_it_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    colour = timm.create_model("resnet18")
    monkeypatch.setattr(module, "imagenet_weights", lambda *_: colour.state_dict())
    encoder = create_unet(LungsConfig(encoder="resnet18", base_channels=4)).encoder.eval()
    images = torch.rand(1, 1, 64, 64)
    expected = timm.create_model("resnet18", features_only=True)
    expected.load_state_dict({name: value for name, value in colour.state_dict().items() if not name.startswith("fc")})
    settings = timm.get_pretrained_cfg("resnet18")
    standard = (images.repeat(1, 3, 1, 1) - sum(settings.mean) / 3) / (sum(settings.std) / 3)
    with torch.inference_mode():
        assert torch.allclose(encoder(images)[-1], expected.eval()(standard)[-1], atol=1e-4)


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
