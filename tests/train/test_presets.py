"""Presets of the twelve earlier systems: they build, freeze what they should, and need no address to begin."""

import json
import socket
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from lunglens.cli.main import app
from lunglens.errors import ConfigurationError
from lunglens.study.config import shipped_systems
from lunglens.train.classifier import assert_can_begin
from lunglens.train.networks.weights import LITE
from lunglens.train.systems import FITTED, NETWORKS, network_of

Rows = dict[str, dict[str, Any]]
PRESETS = {name: config.classifier for name, config in shipped_systems().items()}
WITHOUT_NETWORK = {*(name for name, config in PRESETS.items() if config.network in FITTED), "brixia"}
# Of the trunk, in millions: what learns, and all, as Keras counts them; its features.
CUT_OFFS = {
    "vgg19": (7.08, 20.0, 512),
    "mobilenetv2": (2.25, 2.26, 1280),
    "inception-v3": (11.13, 21.8, 2048),
    "xception": (6.26, 20.9, 2048),
    "inception-resnet-v2": (9.31, 54.3, 1536),
}


@pytest.fixture(scope="module")
def listed() -> Rows:
    said = CliRunner().invoke(app, ["systems", "--json"])
    return {row["preset"]: row for row in json.loads(said.stdout)}


def test_every_preset_builds_and_is_listed_with_its_parameters(listed: Rows) -> None:
    assert set(listed) == set(PRESETS)
    assert {name for name, row in listed.items() if row["parameters"] is None} == WITHOUT_NETWORK
    for row in listed.values():
        assert row["parameters"] is None or 0 < row["parameters_that_learn"] <= row["parameters"]
    assert listed["darkcovidnet"]["parameters"] == 1_164_434
    assert listed["narin-resnet50"]["citation"].startswith("arXiv:2003.10849")


@pytest.mark.parametrize("name", CUT_OFFS)
def test_as_much_of_a_trunk_learns_as_behind_the_published_cut_off(name: str, listed: Rows) -> None:
    row, (learns, every, features) = listed[f"apostolopoulos-{name}"], CUT_OFFS[name]
    widths = [features, *PRESETS[f"apostolopoulos-{name}"].head, 1]
    head = sum((i + 1) * o for i, o in pairwise(widths))
    # Keras counts the moving averages of normalisation too, and its Inception V3 has no factors in it.
    assert (row["parameters_that_learn"] - head) / 1e6 == pytest.approx(learns, rel=0.015)
    assert (row["parameters"] - head) / 1e6 == pytest.approx(every, rel=0.017)


OWN = sorted({*(name for name in PRESETS if name in NETWORKS), "detrac-lite", "truncated-lite"})


@pytest.mark.parametrize("name", OWN)
def test_networks_of_their_own_take_three_classes_or_say_that_they_do_not(name: str) -> None:
    with torch.device("meta"):
        if name.startswith("anomaly"):
            with pytest.raises(ConfigurationError, match="two classes"):
                network_of(PRESETS[name], 3)
        else:
            assert network_of(PRESETS[name], 3).classes == 3


def test_the_table_names_every_preset_and_each_system_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lunglens.train.systems.parameters.parameters_of", lambda _: (2_000_000, 1))
    said = CliRunner().invoke(app, ["systems"]).stdout
    assert all(f" {name} " in said for name in PRESETS)
    assert said.count("DarkCovidNet") == said.count("COVIDX-Net") == 1
    assert said.count("2.00 M") == len(PRESETS)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise AssertionError("a lite variant asked for an address")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield


@pytest.mark.usefixtures("no_network")
def test_lite_variants_begin_from_weights_that_a_package_brings() -> None:
    lite = {name: config for name, config in PRESETS.items() if name.endswith("-lite")}
    assert len(lite) == 9
    assert {config.backbone for config in lite.values()} <= set(LITE)
    assert_can_begin(lite["truncated-lite"], 1)


def test_brixia_is_no_classifier() -> None:
    with pytest.raises(ConfigurationError, match="bs-net"):
        assert_can_begin(PRESETS["brixia"], 1)
