"""Backbones, the closed-form Grad-CAM, and the head."""

import pytest
import torch

from lunglens.film.parameters import View
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.classifier import ClassifierTraining, jitter
from lunglens.train.networks.classifier import Classifier, ClassifierGraph, class_activation, pool

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
    assert features.shape == (1, sum(graph.members[0].streams.channels))
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


def test_a_cut_classifier_cannot_see_outside_the_lungs_and_an_uncut_one_can() -> None:
    image, mask = torch.rand(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    mask[..., 20:40, 20:40] = 1
    elsewhere = torch.where(mask > 0, image, torch.rand(1, 1, 64, 64))
    same = {}
    for cut in (True, False):
        torch.manual_seed(0)
        view = View(film_size=64, input_size=64, cut=cut)
        config = ClassifierConfig(backbone="hrnet_w18_small", head=(8,), view=view)
        module = ClassifierTraining(config).eval()
        with torch.inference_mode():
            first, second = (module.predict_step((255 * picture, mask, mask), 0) for picture in (image, elsewhere))
        same[cut] = torch.equal(first, second)
    assert same == {True: True, False: False}


def test_several_classes_have_an_output_and_a_gradient_each() -> None:
    torch.manual_seed(0)
    model = Classifier("resnet18", head=(8,), outputs=3).eval()
    pooled = torch.rand(2, 512, requires_grad=True)
    logits = model.logits(pooled)
    assert logits.shape == (2, 3)
    (wanted,) = torch.autograd.grad(logits[:, 2].sum(), pooled)
    assert torch.allclose(model.pooled_gradient(pooled.detach(), 2), wanted, atol=1e-6)
