"""Presets of the twelve earlier systems: what was published of each, and where a printed figure belongs."""

import pytest

from lunglens.study.config import Config, load_config, shipped_systems
from lunglens.study.config.system import SystemFacts

SYSTEMS = shipped_systems()
MEMBERS = {
    1: {"vgg19", "mobilenetv2", "inception-v3", "xception", "inception-resnet-v2"},
    7: {"resnet50", "inception-v3", "inception-resnet-v2"},
    8: {"vgg19", "densenet201", "resnetv2", "inception-v3", "inception-resnet-v2", "xception", "mobilenetv2"},
}


def facts_of(config: Config) -> SystemFacts:
    assert config.system is not None
    return config.system


def test_all_twelve_of_table_1_are_there_in_its_order() -> None:
    numbers = [facts_of(config).number for config in SYSTEMS.values()]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, 13))
    for number, names in MEMBERS.items():
        presets = [preset for preset, config in SYSTEMS.items() if facts_of(config).number == number]
        assert presets[-1].endswith("-lite")
        assert {preset.removeprefix(presets[-1].removesuffix("lite")) for preset in presets} == names | {"lite"}


def test_the_presets_of_a_system_share_its_facts() -> None:
    for config in SYSTEMS.values():
        others = [facts_of(other) for other in SYSTEMS.values()]
        of_system = [facts for facts in others if facts.number == facts_of(config).number]
        assert {facts.citation for facts in of_system} == {facts_of(config).citation}
        assert {facts.printed for facts in of_system} == {facts_of(config).printed}


@pytest.mark.parametrize("preset", SYSTEMS)
def test_every_preset_has_a_printed_figure_that_belongs_to_it(preset: str) -> None:
    facts = facts_of(SYSTEMS[preset])
    result = facts.printed_of(preset)
    assert result is not None
    measures = (result.accuracy, result.sensitivity, result.specificity, result.auc, result.f1, result.kappa)
    assert any(measure is not None for measure in measures)
    assert {name for printed in facts.printed for name in printed.presets} <= set(SYSTEMS)
    assert facts.sureness == "certain" or facts.readings


def test_a_printed_figure_is_asked_for_by_preset_and_number_of_classes() -> None:
    facts = facts_of(load_config("apostolopoulos-mobilenetv2"))
    two, three = facts.printed_of("apostolopoulos-lite"), facts.printed_of("apostolopoulos-lite", 3)
    assert two is not None
    assert three is not None
    assert (two.accuracy, two.sensitivity, two.specificity) == (0.9678, 0.9866, 0.9646)  # as table 1 quotes it
    assert (three.classes, three.accuracy) == (3, 0.9472)
    vgg = facts.printed_of("apostolopoulos-vgg19")
    assert vgg is not None
    assert vgg.accuracy == 0.9875
    only_three = facts_of(load_config("covid-net")).printed_of("covid-net")
    assert only_three is not None
    assert only_three.classes == 3
    assert facts.printed_of("another") is None


def test_what_counts_ten_test_images_prints_tenths() -> None:
    printed = facts_of(load_config("covidx-net-vgg19")).printed
    assert {result.test_images for result in printed} == {10}
    assert all((10 * result.accuracy) % 1 < 1e-9 for result in printed if result.accuracy is not None)


@pytest.mark.parametrize("preset", [name for name in SYSTEMS if name.endswith("-lite")])
def test_a_lite_variant_differs_from_its_system_in_the_trunk_alone(preset: str) -> None:
    lite = SYSTEMS[preset].classifier
    assert (lite.backbone, lite.pretrained) == ("tf_efficientnet_lite0", "imagenet")
    same = {"name": None, "backbone": None, "options": None, "freeze": None}
    twins = [
        name
        for name, config in SYSTEMS.items()
        if not name.endswith("-lite")
        and facts_of(config) == facts_of(SYSTEMS[preset])
        and config.classifier.model_copy(update=same) == lite.model_copy(update=same)
    ]
    assert twins


@pytest.mark.parametrize("preset", SYSTEMS)
def test_a_preset_shows_the_whole_film_as_its_original_did(preset: str) -> None:
    view = SYSTEMS[preset].classifier.view
    assert facts_of(SYSTEMS[preset]).number == 2 or not (view.cut or view.crop)
