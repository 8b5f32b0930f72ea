"""What is drawn into films: opaque lung where the whole lung is taught, edges, lines, letters."""

import pytest
import torch
from torch import Tensor

from lunglens.study.config.training import Damage
from lunglens.train.lungs.damage import damage


def films(count: int = 12, size: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    """Dark lungs in gray tissue; every other one is taught as the whole lung."""
    masks = torch.zeros(count, 1, size, size)
    masks[..., size // 5 : -size // 5, size // 5 : 2 * size // 5] = 1
    masks[..., size // 5 : -size // 5, -2 * size // 5 : -size // 5] = 1
    return 0.6 - 0.4 * masks, masks, torch.arange(count) % 2 == 1


def damaged(**probabilities: float) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return damage(*films(), Damage(**probabilities))


def test_without_damage_nothing_changes() -> None:
    images, masks = damaged()
    assert torch.equal(images, films()[0])
    assert torch.equal(masks, films()[1])


def test_opaque_lung_is_drawn_inside_the_region_s_lungs_and_leaves_their_mask() -> None:
    before, lungs, region = films()
    images, masks = damaged(opacity_probability=1)
    assert torch.equal(masks, lungs)
    assert torch.equal(images[~region], before[~region])
    brighter = images - before
    inside, outside = brighter[region][lungs[region] == 1], brighter[region][lungs[region] == 0]
    assert inside.mean() > 0.08
    assert outside.abs().mean() < 0.02
    assert images[region].max() <= 0.85  # as tissue, not as bone


def test_nothing_is_lung_outside_the_collimated_rectangle() -> None:
    before, lungs, _ = films()
    images, masks = damaged(border_probability=1)
    hidden = images != before
    assert 0.02 < hidden.float().mean() < 0.4
    assert (masks[hidden] == 0).all()
    assert torch.equal(masks[~hidden], lungs[~hidden])


@pytest.mark.parametrize("kind", ["line_probability", "marker_probability"])
def test_lines_and_letters_are_bright_thin_and_change_no_mask(kind: str) -> None:
    before, lungs, _ = films()
    images, masks = damaged(**{kind: 1})
    assert torch.equal(masks, lungs)
    assert (images >= before - 1e-5).all()
    assert 0.005 < (images > before + 0.05).float().mean() < 0.25
    assert images.max() <= 1


def test_about_the_asked_share_of_the_films_is_damaged() -> None:
    torch.manual_seed(1)
    before, lungs, region = films(200, 32)
    images, _ = damage(before, lungs, region, Damage(border_probability=0.3))
    assert (images != before).flatten(1).any(1).float().mean() == pytest.approx(0.3, abs=0.1)
