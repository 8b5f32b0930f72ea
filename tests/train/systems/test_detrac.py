"""DeTraC: classes are taken apart on the films that train alone, learned so, and put together again."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from lunglens.film.parameters import View
from lunglens.study.config.training import ClassifierConfig, Optimization
from lunglens.train.classifier import load_trained, train_classifier
from lunglens.train.systems import network_of
from lunglens.train.systems.detrac import SUBCLASSES, Detrac
from lunglens.train.views import Views

CONFIG = ClassifierConfig(
    network="detrac",
    backbone="test_resnet",
    head=(),
    dropout=0.0,
    view=View(film_size=64, input_size=64, cut=False),
    optimization=Optimization(epochs=2, batch_size=8, precision="32-true"),
)


def films(classes: int) -> tuple[Tensor, Tensor]:
    """Twelve films a class, half of them dark and half bright; of the last class but two are bright."""
    numbers = torch.arange(classes).repeat_interleave(12)
    bright = torch.arange(len(numbers)) % 2 == 0
    bright[-12:] = torch.arange(12) < 2
    torch.manual_seed(0)
    shade = 0.2 + 0.6 * bright[:, None, None, None]
    return numbers, (shade + 0.1 * torch.rand(len(numbers), 1, 64, 64)).clamp(0, 1)


def network(outputs: int) -> Detrac:
    torch.manual_seed(1)
    found = network_of(CONFIG, outputs)
    assert isinstance(found, Detrac)
    return found


@pytest.mark.parametrize("outputs", [1, 3])
def test_sub_classes_are_parts_of_their_class_and_none_is_too_small(outputs: int, tmp_path: Path) -> None:
    net, (numbers, images) = network(outputs), films(max(outputs, 2))
    targets = (1 - numbers if outputs == 1 else numbers).float()
    found = net.fit_targets(lambda: iter(images.split(16)), targets, tmp_path)
    assert torch.equal(found // 2, numbers)
    assert torch.equal(net.classes_of(found), targets)
    assert found.unique().tolist() == list(range(2 * max(outputs, 2) - 1))  # the last class stays whole
    assert net.exists.tolist() == [*[True] * (2 * max(outputs, 2) - 1), False]
    parts = found[:12] % 2
    assert parts[::2].unique().numel() == parts[1::2].unique().numel() == 1  # dark apart from bright


def test_probabilities_are_sums_of_those_of_the_sub_classes(tmp_path: Path) -> None:
    net, (numbers, images) = network(3), films(3)
    net.fit_targets(lambda: iter(images.split(16)), numbers.float(), tmp_path)
    outputs = torch.randn(4, 6)
    summed = outputs.masked_fill(~net.exists, -torch.inf).softmax(1).view(4, 3, 2).sum(2)
    scores, shares = net.compose(outputs)
    assert torch.allclose(scores.softmax(1), summed)
    assert torch.allclose(summed.sum(1), torch.ones(4))
    assert torch.allclose(shares.sum(2), torch.ones(4, 3))


def test_a_training_that_goes_on_keeps_its_sub_classes_and_ends_with_the_same_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers, images = films(2)
    table = pd.DataFrame({"source": "here", "class": "", "target": 1.0 - numbers.numpy(), "part": "train"})
    table.loc[table.index % 4 == 3, "part"] = "validation"
    pixels = (255 * images[:, 0]).byte().numpy()
    views = Views(pixels, np.ones_like(pixels))
    whole = train_classifier(table, views, CONFIG, tmp_path / "whole")
    assert len(pd.read_csv(tmp_path / "whole" / SUBCLASSES)) == 18
    steps, loss = iter([False, False, True]), Detrac.loss

    def dies(net: Detrac, *batch: Tensor) -> tuple[Tensor, Tensor]:
        if net.training and next(steps):
            raise RuntimeError("killed")
        return loss(net, *batch)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(Detrac, "loss", dies)
        train_classifier(table, views, CONFIG, tmp_path / "killed")

    def none_again(*_: object) -> Iterator[Tensor]:
        raise AssertionError

    monkeypatch.setattr("lunglens.train.systems.detrac._taken_apart", none_again)
    ended = train_classifier(table, views, CONFIG, tmp_path / "killed")
    rows = np.arange(len(table))
    assert np.array_equal(ended.predict(views, rows), whole.predict(views, rows))
    assert np.array_equal(load_trained(CONFIG, tmp_path / "whole").predict(views, rows), whole.predict(views, rows))
