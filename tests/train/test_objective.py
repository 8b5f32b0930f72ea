"""What training makes smaller: opacity where it is known, the worst groups, features that tell the source."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from lunglens.film.parameters import View
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.classifier import ClassifierTraining, sampler_of
from lunglens.train.networks.network import classification_loss
from lunglens.train.objective import Batch, Objective, distance_correlation, opacity_loss


def training(**settings: object) -> ClassifierTraining:
    torch.manual_seed(0)
    view = View(film_size=64, input_size=64)
    config = ClassifierConfig.model_validate({"backbone": "test_resnet", "head": (), "view": view, **settings})
    return ClassifierTraining(config)


def batch(opacity: list[float], groups: list[int]) -> Batch:
    torch.manual_seed(1)
    count = len(groups)
    films = torch.randint(0, 255, (count, 1, 64, 64), dtype=torch.uint8)
    targets = (torch.arange(count) % 2).float()
    return Batch(films, torch.ones_like(films), targets, torch.tensor(opacity), torch.tensor(groups))


def loss_of(module: ClassifierTraining, films: Batch) -> torch.Tensor:
    return module.objective(module.classifier, films.images.float() / 255, films, None)[0]


def test_a_target_may_be_a_probability_and_weights_mean_the_same() -> None:
    logits, weights = torch.tensor([0.3, -1.0]), torch.tensor([2.0, 0.5])
    hard = binary_cross_entropy_with_logits(logits, torch.tensor([1.0, 0.0]), torch.tensor([2.0, 0.5]))
    assert classification_loss(logits, torch.tensor([1.0, 0.0]), weights) == hard
    soft = classification_loss(logits, torch.tensor([0.7, 0.7]), None)
    assert soft > classification_loss(logits, logits.sigmoid(), None)


def test_opacity_is_taught_where_it_is_known_alone() -> None:
    logits = torch.tensor([2.0, -1.0, 0.5], requires_grad=True)
    loss = opacity_loss(logits, torch.tensor([1.0, torch.nan, 0.0]))
    loss.backward()
    assert logits.grad[1] == 0
    assert loss.item() == pytest.approx((np.log1p(np.exp(-2)) + np.log1p(np.exp(0.5))) / 3, rel=1e-5)
    assert opacity_loss(logits, torch.full((3,), torch.nan)) == 0


def test_the_second_answer_adds_to_the_loss_and_learns() -> None:
    films = batch([1, 0, torch.nan, 1], [0, 1, 0, 1])
    with_opacity = training(opacity_loss=0.5)
    alone = loss_of(with_opacity, films._replace(opacity=torch.full((4,), torch.nan)))
    loss = loss_of(with_opacity, films)
    assert loss > alone
    loss.backward()
    assert with_opacity.classifier.layers[-1].weight.grad[1].abs().sum() > 0
    assert with_opacity.classifier.layers[-1].out_features == 2


def test_groups_of_larger_loss_come_to_count_more() -> None:
    objective = Objective(ClassifierConfig(group_dro=1.0))
    losses, groups = torch.tensor([0.1, 0.1, 2.0, 0.1]), torch.tensor([7, 7, 3, 7])
    first = objective._of_worst_groups(losses, groups)
    for _ in range(5):
        last = objective._of_worst_groups(losses, groups)
    assert losses.mean() < first < last < 2
    assert objective.shares[3] > objective.shares[7]
    assert objective.shares.mean() == pytest.approx(1, abs=1e-4)
    module = training(group_dro=1.0)
    films = batch([torch.nan] * 4, [0, 0, 0, 1])
    module.eval()
    plain = loss_of(module, films)
    assert torch.equal(module.objective.shares, torch.ones(64))  # what is validated is all films alike
    assert plain.item() == pytest.approx(loss_of(training().eval(), films).item())
    assert "objective.shares" in module.state_dict()


def test_features_that_tell_the_group_have_a_correlation_of_1_and_noise_nearly_none() -> None:
    torch.manual_seed(0)
    groups = torch.arange(200) % 2
    assert distance_correlation(groups[:, None].float() * 3, groups).item() == pytest.approx(1, abs=1e-5)
    features = torch.randn(200, 4, requires_grad=True)
    noise = distance_correlation(features, groups)
    assert noise < 0.05
    noise.backward()
    assert torch.isfinite(features.grad).all()
    assert distance_correlation(features, torch.zeros(200)) == 0


def test_decorrelation_is_asked_of_the_trunk() -> None:
    films = batch([torch.nan] * 8, [0, 1, 2, 1, 0, 3, 2, 3])
    module, plain = training(decorrelate=10.0), training()
    assert loss_of(module.eval(), films).item() == pytest.approx(loss_of(plain.eval(), films).item())
    assert loss_of(module.train(), films) > loss_of(plain.train(), films)
    loss_of(module, films).backward()
    assert all(torch.isfinite(p.grad).all() for p in module.classifier.streams.parameters())


def test_negatives_with_an_opacity_are_drawn_more_often() -> None:
    table = pd.DataFrame({"source": "s", "class": ["c"] * 10 + ["n"] * 10, "target": [1.0] * 10 + [0.0] * 10})
    table["opacity"] = [1.0] * 10 + [1.0] * 5 + [0.0] * 4 + [np.nan]
    config = ClassifierConfig(balance_power=0.5, hard_negatives=4.0, images_per_epoch=100)
    weights = sampler_of(table, config).weights
    assert weights[10].item() == pytest.approx(4 * weights[16].item())
    assert weights[:10].sum().item() == pytest.approx(weights[10:].sum().item())
    assert weights[16] == weights[19]


def test_the_gradient_of_the_source_head_reaches_the_trunk_as_it_is_scaled() -> None:
    films = batch([torch.nan] * 6, [0, 1, 2, 3, 4, 5])  # three sources of two classes

    def gradients(scale: float) -> tuple[torch.Tensor, torch.Tensor | None]:
        module = training(source_head=scale)
        module.classifier.eval()  # the same features each time
        module.objective.train()
        loss_of(module, films).backward()
        head = module.objective.names_source.weight.grad if scale else None
        return next(module.classifier.streams.parameters()).grad.clone(), head

    (plain, _), (taught, head), (against, other) = gradients(0.0), gradients(1.0), gradients(-1.0)
    assert (taught - plain).abs().max() > 0
    assert torch.allclose(taught - plain, plain - against, atol=1e-5)
    assert torch.equal(head, other)
    assert head[:3].abs().sum() > 0
