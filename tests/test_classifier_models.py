"""Backbones, the closed-form Grad-CAM, and the head."""

import pytest
import torch

from lunglens.classify.models import Classifier, ClassifierGraph, class_activation, pool
from lunglens.classify.train import jitter

BACKBONES = ["hrnet_w18_small", "resnet18", "densenet121", "efficientnet_b0"]


@pytest.mark.parametrize("name", BACKBONES)
def test_heat_map_is_grad_cam(name: str) -> None:
    torch.manual_seed(0)
    model = Classifier(name, head=(16, 8)).eval()
    maps = [features.detach().requires_grad_() for features in model.streams(torch.rand(2, 1, 64, 64))]
    pooled = pool(maps)
    model.logits(pooled).sum().backward()
    gradient = model.pooled_gradient(pooled.detach())
    # Grad-CAM's weights are the spatial means of the gradient: ours divided by the number of positions.
    expected = torch.cat([m.grad.sum((2, 3)) for m in maps], dim=1)  # type: ignore[union-attr]
    assert torch.allclose(gradient, expected, atol=1e-5)
    heat = class_activation([m.detach() for m in maps], gradient)
    assert heat.shape == (2, *maps[0].shape[-2:])
    assert heat.min() >= 0


def test_hrnet_keeps_a_quarter_of_the_resolution() -> None:
    graph = ClassifierGraph(Classifier("hrnet_w18_small", head=(8,))).eval()
    probability, logit, heat, features = graph(torch.rand(1, 1, 96, 96))
    assert heat.shape == (1, 24, 24)
    assert features.shape == (1, sum(graph.classifier.streams.channels))
    assert torch.allclose(probability, logit.sigmoid())


def test_default_head_is_the_reading_of_the_paper() -> None:
    layers = Classifier("hrnet_w18_small").layers
    assert [layer.out_features for layer in layers] == [2048, 512, 1]


def test_jitter_grows_and_shrinks_but_keeps_a_mask() -> None:
    torch.manual_seed(0)
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    areas = {int(jitter(mask, 2).sum()) for _ in range(40)}
    assert areas == {12**2, 14**2, 16**2, 18**2, 20**2}
    assert torch.equal(jitter(mask, 0), mask)
