"""The systems' networks: what the publications print of them, and what training, export and heat-maps ask."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import timm
import torch
from onnxruntime import InferenceSession
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lunglens.errors import ConfigurationError
from lunglens.film.parameters import View
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.networks.network import Network
from lunglens.train.systems import NETWORKS, network_of
from lunglens.train.systems.anomaly import AnomalyConfidence, deviation_loss
from lunglens.train.systems.covid_caps import Capsules, CovidCaps, margin_loss
from lunglens.train.systems.mapped import Mapped

SMALL: dict[str, dict[str, Any]] = {
    "darkcovidnet": {},
    "covid-caps": {},
    "covid-net": {"head": (8,)},
    "truncated-inception": {"backbone": "test_resnet", "options": {"cut_after": "layer3"}},
    "maghdid-cnn": {},
    "anomaly": {"backbone": "test_resnet", "head": (8,)},
    "anomaly-confidence": {"backbone": "test_resnet", "head": (8,)},
    "detrac": {"backbone": "test_resnet", "head": (8,)},
}


def network(name: str, outputs: int = 1, side: int = 64, **settings: Any) -> Network:
    settings = {"head": (), "dropout": 0.0} | settings
    view = View(film_size=side, input_size=side)
    return network_of(ClassifierConfig(network=name, view=view, **settings), outputs)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("outputs", "parameters"), [(1, 1_164_434), (3, 1_167_586)])
def test_darkcovidnet_is_as_large_as_published(outputs: int, parameters: int) -> None:
    with torch.device("meta"):
        net = network("darkcovidnet", outputs, 256)
        assert isinstance(net, Mapped)
        assert net.maps(torch.zeros(1, 1, 256, 256))[0].shape == (1, max(outputs, 2), 13, 13)
        narrower = network("darkcovidnet", outputs, 256, options={"pad1x1": False})
    assert count(net) == parameters
    assert sum(isinstance(module, nn.Conv2d) for module in net.modules()) == 17
    assert count(narrower) < parameters


def test_covid_caps_is_as_large_as_published() -> None:
    with torch.device("meta"):
        net = network("covid-caps", side=224)
        assert isinstance(net, CovidCaps)
        assert net.body(torch.zeros(1, 3, 224, 224)).shape == (1, 128, 106, 106)
    statistics = sum(buffer.numel() for name, buffer in net.named_buffers() if "running" in name)
    assert (count(net), statistics, 106 * 106) == (295_360, 128, 11_236)


@pytest.mark.parametrize(
    ("size", "parameters", "millions", "macs"), [("small", 117.53, 117.57, 2.60), ("large", 120.30, 120.34, 3.88)]
)
def test_covid_net_is_the_reading(size: str, parameters: float, millions: float, macs: float) -> None:
    with torch.device("meta"):
        net = network("covid-net", 3, 224, options={"size": size}, head=(1024, 256)).eval()
        with FlopCounterMode(display=False) as counter:
            net(torch.zeros(1, 1, 224, 224))
    normalizations = (module for module in net.modules() if isinstance(module, nn.BatchNorm2d))
    factors = sum(module.num_features for module in normalizations)  # the specification counts none
    assert round((count(net) - factors) / 1e6, 2) == pytest.approx(parameters, abs=0.011)
    assert round(count(net) / 1e6, 2) == millions
    assert round(counter.get_total_flops() / 2e9, 2) == macs


def test_truncated_inception_has_two_million_parameters() -> None:
    with torch.device("meta"):
        net = network("truncated-inception", side=224, backbone="inception_v3")
        colour = 2 * 9 * 32  # the first layer's kernels for the two channels that a gray film has not
        assert count(net.get_submodule("streams")) + colour == 2_144_480
        assert isinstance(net, Mapped)
        assert net.maps(torch.zeros(1, 1, 224, 224))[0].shape[:2] == (1, 768)
    with pytest.raises(ConfigurationError, match="no block 'Mixed_9': in place of 'Mixed_9' there are"):
        network("truncated-inception", options={"cut_after": "Mixed_9"}, backbone="test_resnet")


def test_alexnet_is_torchvisions_and_a_trunk_like_others() -> None:
    with torch.device("meta"):
        alexnet = timm.create_model("alexnet", num_classes=2)
        net = network("trunk", backbone="alexnet", side=224)
    assert count(alexnet) == 57_012_034
    assert [name for name, _ in alexnet.named_parameters()][-2:] == ["classifier.6.weight", "classifier.6.bias"]
    assert count(net) == 57_012_034 - 2 * 64 * 11 * 11 - 4097
    assert not net.has_heat


def test_every_network_of_its_own_is_tried_here() -> None:
    assert SMALL.keys() == NETWORKS.keys() - {"trunk"}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("outputs", [1, 3])
def test_every_network_learns_and_answers_at_any_size(name: str, outputs: int) -> None:
    if outputs == 3 and name.startswith("anomaly"):
        with pytest.raises(ConfigurationError, match="tells two classes apart; the study has 3"):
            network(name, 3, **SMALL[name])
        return
    torch.manual_seed(0)
    net, images = network(name, outputs, 80, **SMALL[name]), torch.rand(2, 1, 80, 80)
    with torch.autocast("cpu", torch.bfloat16):
        loss, logits = net.loss(images, torch.tensor([1.0, 0.0]), torch.tensor([2.0, 1.0, 1.0][: max(outputs, 2)]))
    loss.backward()
    assert loss.isfinite()
    assert logits.dtype == torch.float32
    assert all(parameter.grad is not None for parameter in net.parameters())
    with torch.inference_mode():
        logits, (answer, heat, features) = net.eval()(images), net.answer(images)
    shape = (2,) if outputs == 1 else (2, 3)
    assert torch.equal(answer, logits)
    assert (answer.shape, features.ndim, heat is not None) == (shape, 2, net.has_heat)
    assert heat is None or (heat.shape[:-2] == shape and heat.min() >= 0)


@pytest.mark.parametrize("name", [name for name in SMALL if name != "covid-caps"])
def test_heat_is_the_gradient_times_the_maps(name: str) -> None:
    torch.manual_seed(0)
    net, images = network(name, **SMALL[name]).eval(), torch.rand(2, 1, 64, 64)
    seen: list[Tensor] = []
    if isinstance(net, AnomalyConfidence):
        for module in (net.anomaly, net.confidence):
            module.register_forward_hook(lambda _, __, maps: seen.append(maps.detach().requires_grad_()) or seen[-1])
    else:
        _watch(net, seen)
    net(images).sum().backward()
    heats = [
        torch.zeros(()) if maps.grad is None else maps.shape[-1] ** 2 * (maps * maps.grad).sum(1).relu()
        for maps in seen
    ]
    _, heat, _ = net.answer(images)
    assert heat is not None
    assert torch.allclose(heat, sum(heats, torch.zeros(())), rtol=1e-4, atol=1e-5)


def _watch(net: Network, seen: list[Tensor]) -> None:
    """Let `net` go on from copies of its last maps, which `seen` keeps."""
    of: Any = net if isinstance(net, Mapped) else net.get_submodule("streams")
    name = "maps" if isinstance(net, Mapped) else "forward"
    original: Callable[[Tensor], list[Tensor]] = getattr(of, name)

    def kept(images: Tensor) -> list[Tensor]:
        seen.extend(maps.detach().requires_grad_() for maps in original(images))
        return seen[-1:]

    setattr(of, name, kept)


class _Answers(nn.Module):
    def __init__(self, net: Network) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> list[Tensor]:
        return [part for part in self.net.answer(images) if part is not None]


@pytest.mark.parametrize(
    ("name", "outputs", "settings"), [("covid-caps", 3, {"options": {"adds_routing": True}}), ("maghdid-cnn", 1, {})]
)
def test_a_network_answers_the_same_in_onnx_with_any_number_of_films(
    name: str, outputs: int, settings: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    graph, images = _Answers(network(name, outputs, **settings)).eval(), torch.rand(3, 1, 64, 64)
    with torch.inference_mode():
        found = graph(images)
    program = torch.onnx.export(
        *(graph, (images[:2],)), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},), dynamo=True, verbose=False
    )
    assert program is not None
    session = InferenceSession(program.model_proto.SerializeToString())
    for wanted, answer in zip(found, session.run(None, {session.get_inputs()[0].name: images.numpy()}), strict=True):
        assert np.allclose(wanted.numpy(), answer, atol=1e-4)


@pytest.mark.parametrize(("options", "kept"), [({}, 0.99**30), ({"momentum": 0.1}, 0.9**30)])
def test_normalisation_of_capsules_forgets_what_it_began_with(options: dict[str, float], kept: float) -> None:
    net = network("covid-caps", 1, options=options).train()
    with torch.no_grad():
        for _ in range(30):
            net(torch.zeros(2, 1, 32, 32))  # of no variance
    norm = next(module for module in net.modules() if isinstance(module, nn.BatchNorm2d))
    assert norm.running_var is not None
    assert torch.allclose(norm.running_var, torch.full((64,), kept))


@pytest.mark.parametrize("adds", [False, True])
def test_routing_is_that_of_the_votes_of_all_places(adds: bool) -> None:
    torch.manual_seed(0)
    layer, below = Capsules(6, 4, 5, adds), torch.randn(2, 50, 6)
    with torch.no_grad():
        found, shares = layer.route(below)
        votes, agreement = torch.einsum("nid,djs->nijs", below, layer.weight), torch.zeros(2, 50, 4)
        for _ in range(3):
            total = (agreement.softmax(2)[..., None] * votes).sum(1)
            square = (total**2).sum(2, keepdim=True)
            wanted = total * square.sqrt() / (1 + square)
            agreement = agreement * adds + (votes * wanted[:, None]).sum(3)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert torch.allclose(shares.sum(2), torch.ones(2, 50))
    assert (found.norm(dim=2) < 1).all()


def test_probabilities_of_capsules_are_shares_of_their_lengths() -> None:
    torch.manual_seed(0)
    net = network("covid-caps", 3)
    last = torch.rand(2, 3, 16)
    assert isinstance(net, CovidCaps)
    net._vectors = lambda _: [last, last]  # type: ignore[method-assign]
    lengths = last.norm(dim=2)
    assert torch.allclose(net(last).softmax(1), lengths / lengths.sum(1, keepdim=True))
    net.outputs = 1
    assert torch.allclose(net(last).sigmoid(), lengths[:, 0] / lengths[:, :2].sum(1))


def test_margin_loss_wants_long_capsules_of_the_class_alone() -> None:
    lengths = torch.tensor([[0.9, 0.1], [0.5, 0.6], [0.5, 0.6]])
    present = torch.tensor([[1, 0], [1, 0], [0, 1]])
    assert torch.allclose(margin_loss(lengths, present), torch.tensor([0.0, 0.16 + 0.125, 0.08 + 0.09]))


def test_deviation_loss_is_nothing_where_it_wants_no_more() -> None:
    deviations, targets = torch.tensor([0.0, 5.0, 9.0, -1.0, 4.0]), torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0])
    assert deviation_loss(deviations, targets).tolist() == [0, 0, 0, 1, 1]


def test_confidence_does_not_reach_the_trunk() -> None:
    net = network("anomaly-confidence", **SMALL["anomaly-confidence"])
    assert isinstance(net, AnomalyConfidence)
    net._maps(torch.rand(2, 1, 64, 64))[1].sum().backward()
    assert all(parameter.grad is None for parameter in net.streams.parameters())
    assert all(parameter.grad is not None for parameter in net.confidence.body.parameters())
