"""Presets of the twelve earlier systems as networks: they build, freeze what they should, and count what was published."""

import json

import pytest
import torch
from typer.testing import CliRunner

from lunglens.cli.main import app
from lunglens.study.config import shipped_systems
from lunglens.train.networks.weights import freeze, trunk_of
from lunglens.train.systems import FITTED, network_of

PRESETS = {name: config.classifier for name, config in shipped_systems().items() if name != "brixia"}
TWO_CLASSES_ONLY = {"anomaly", "anomaly-confidence"}
# Of the specification's section 1: parameters that learn, and all, in millions, counted with Keras.
TRAINABLE = {
    "vgg19": (7.08, 20.0),
    "mobilenetv2": (2.25, 2.26),
    "inception-v3": (11.13, 21.8),
    "xception": (6.26, 20.9),
    "inception-resnet-v2": (9.31, 54.3),
}


@pytest.mark.parametrize("name", TRAINABLE)
def test_as_much_of_a_trunk_learns_as_behind_the_published_cut_off(name: str) -> None:
    config = PRESETS[f"apostolopoulos-{name}"]
    with torch.device("meta"):
        network = network_of(config, 3)
    freeze(network, config.freeze)
    trunk = trunk_of(network)
    assert trunk is not None
    learn = sum(p.numel() for p in trunk.net.parameters() if p.requires_grad)
    every = sum(p.numel() for p in trunk.net.parameters())
    # Keras counts the moving averages of normalisation as parameters, and Inception V3's has no factors.
    expected_learn, expected_every = TRAINABLE[name]
    assert learn / 1e6 == pytest.approx(expected_learn, rel=0.015)
    assert every / 1e6 == pytest.approx(expected_every, rel=0.017)


def test_every_preset_builds_and_the_list_counts_its_parameters() -> None:
    found = json.loads(CliRunner().invoke(app, ["systems", "--json"]).stdout)
    counts = {row["preset"]: (row["parameters"], row["parameters_that_learn"]) for row in found}
    assert set(counts) == {*PRESETS, "brixia"}
    for name, (every, learn) in counts.items():
        fitted = name == "brixia" or PRESETS[name].network in FITTED
        assert (every is None) == fitted
        assert fitted or 0 < learn <= every
    table = CliRunner().invoke(app, ["systems"]).stdout
    assert all(name in table for name in counts)
