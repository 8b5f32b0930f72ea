"""Features pooled inside the lung region: what counts, where the evidence lies, and what of it adds up."""

import pytest
import torch
from torch import Tensor

from lunglens.errors import ConfigurationError
from lunglens.film.parameters import View
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.classifier import ClassifierTraining
from lunglens.train.model import assert_can_train
from lunglens.train.networks.classifier import Classifier, pool, weighted_mean
from lunglens.train.objective import Batch

SIZE = 64
VIEW = View(film_size=SIZE, input_size=SIZE, cut=False, pool="region")


def images(count: int = 2) -> Tensor:
    """Noise, and a mask of two rectangles that fill no whole number of positions."""
    torch.manual_seed(0)
    given = torch.rand(count, 2, SIZE, SIZE)
    given[:, 1] = 0
    given[:, 1, 9:50, 5:27] = given[:, 1, 12:45, 36:60] = 1
    return given


def config(**changes: object) -> ClassifierConfig:
    return ClassifierConfig.model_validate({"backbone": "test_resnet", "head": (8,), "view": VIEW, **changes})


@pytest.mark.parametrize("name", ["hrnet_w18_small", "test_resnet", "test_convnext", "test_vit2"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_mean_of_the_evidence_is_what_the_features_add_to_the_logit(name: str, outputs: int) -> None:
    torch.manual_seed(1)
    network = Classifier(name, head=(8,), outputs=outputs, size=SIZE, by_region=True).eval()
    with torch.inference_mode():
        (maps, shares), (logits, heat, pooled) = network.maps(images()), network.answer(images())
        of_last = heat if outputs == 1 else heat[:, 2]
        gradient = network.pooled_gradient(pooled, outputs - 1)
        assert torch.equal(pool(maps, shares), pooled)
        added = weighted_mean(of_last[:, None], shares[0])[:, 0]
        assert torch.allclose(added, (gradient * pooled).sum(1), atol=1e-5)
        assert torch.allclose(network(images()), logits, atol=1e-5)
    outside = (shares[0] == 0)[:, 0]
    assert of_last.shape == outside.shape
    assert not of_last[outside].any()


def test_the_logit_is_evidence_and_a_constant() -> None:
    torch.manual_seed(1)
    network = Classifier("test_resnet", head=(), by_region=True).eval()
    with torch.inference_mode():
        (_, shares), (logit, heat, _) = network.maps(images()), network.answer(images())
        assert torch.allclose(weighted_mean(heat[:, None], shares[0])[:, 0] + network.layers[0].bias, logit, atol=1e-5)


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_second_answers_heat_is_its_evidence(outputs: int) -> None:
    torch.manual_seed(1)
    network = Classifier("test_resnet", head=(), outputs=outputs, by_region=True, tells_opacity=True).eval()
    with torch.inference_mode():
        (_, shares), heat = network.maps(images()), network.opacity_heat(images())
        added = weighted_mean(heat[:, None], shares[0])[:, 0]
        assert torch.allclose(added + network.layers[0].bias[outputs], network.told(images()).opacity, atol=1e-5)
        assert not torch.allclose(heat, network.answer(images())[1].reshape(2, -1, *heat.shape[1:])[:, 0])


def test_no_position_outside_the_region_counts() -> None:
    torch.manual_seed(1)
    network = Classifier("hrnet_w18_small", head=(8,), by_region=True).eval()
    with torch.inference_mode():
        maps, shares = network.maps(images())
        other = [torch.where(share > 0, each, torch.rand_like(each)) for each, share in zip(maps, shares, strict=True)]
        assert not torch.equal(maps[0], other[0])
        assert torch.equal(pool(maps, shares), pool(other, shares))
        assert not torch.equal(pool(maps), pool(other))


def test_a_position_counts_by_the_share_of_it_that_the_region_covers() -> None:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4, :4], mask[..., 4:, :2] = 1, 1
    share = torch.nn.functional.adaptive_avg_pool2d(mask, (2, 2))
    assert pool([torch.tensor([[[[1.0, 5.0], [4.0, 9.0]]]])], [share]).item() == pytest.approx((1 + 4 / 2) / 1.5)
    assert pool([torch.ones(1, 3, 2, 2)], [0 * share]).tolist() == [[0, 0, 0]]  # warped out of the picture


@pytest.mark.parametrize("cut", [True, False])
def test_a_step_of_training_and_a_prediction_know_the_mask(cut: bool) -> None:
    view = VIEW.model_copy(update={"cut": cut})
    module = ClassifierTraining(config(view=view))
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    image, mask = ((255 * images()[:, :1]).byte(), images()[:, 1:].byte())
    numbers = torch.tensor([0.0, 1.0]), torch.tensor([1.0, torch.nan]), torch.tensor([3, 5])
    loss = module.training_step(Batch(image, mask, *numbers), 0)
    loss.backward()
    assert torch.isfinite(loss)
    module.eval()
    first = module.predict_step((image, mask, mask), 0)
    assert not torch.equal(first, module.predict_step((image, mask.flip(3), mask), 0))
    assert module.cost()["gflops"] > 0


def test_a_smaller_stride_makes_a_finer_map_of_the_same_weights() -> None:
    coarse, fine = (Classifier("test_efficientnet", head=(8,), by_region=True, stride=stride) for stride in (32, 8))
    assert coarse.maps(images())[0][0].shape[2:] == (2, 2)
    assert fine.maps(images())[0][0].shape[2:] == (8, 8)
    fine.load_state_dict(coarse.state_dict())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "alexnet"}, "view.pool: alexnet gives numbers without a place"),
        ({"network": "covid-caps"}, "view.pool: network covid-caps is no trunk"),
        ({"network": "texture"}, "view.pool: network texture is no trunk"),
        ({"backbone": "hrnet_w18_small", "stride": 16}, "stride: hrnet_w18_small has no other than 32"),
        ({"backbone": "test_vit2", "stride": 8}, "stride: test_vit2 has no other than 32"),
    ],
)
def test_what_cannot_pool_by_the_region_or_has_no_finer_maps_says_so(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        assert_can_train(config(**changes), 1)
