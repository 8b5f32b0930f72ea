"""The configuration: the paper's values by default, and an error that names what a file got wrong."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from lunglens.errors import ConfigurationError
from lunglens.study.config import Config, load_config

CONFIGS = sorted((Path(__file__).parents[2] / "src" / "lunglens" / "configs").glob("*.toml"))


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "study.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_no_file_gives_the_paper_s_values() -> None:
    config = load_config(None)
    cut = config.classifier.postprocess
    assert (cut.dilation_iterations, cut.closing_iterations, cut.min_area_px) == (8, 2, 50_000)
    assert (config.lungs.input_size, config.lungs.optimization.learning_rate) == (512, 0.005)
    learning = config.classifier.optimization
    assert (learning.optimizer, learning.learning_rate, learning.momentum, learning.batch_size) == ("sgd", 0.01, 0.8, 8)
    assert config.classifier.augment.gamma == (0.5, 3.0)


def test_the_paper_s_file_says_what_the_defaults_say() -> None:
    found = load_config(next(path for path in CONFIGS if path.name == "paper.toml"))
    assert (found.lungs, found.classifier) == (Config().lungs, Config().classifier)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_file_that_ships_is_valid(path: Path) -> None:
    assert isinstance(load_config(path), Config)


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "[lungs.optimization]\nepochs = 3\n[classifier.view]\ncrop = true\n"))
    assert config.lungs.optimization.epochs == 3
    assert config.classifier.view.crop
    assert config.classifier.optimization == Config().classifier.optimization
    assert config.lungs.augment == Config().lungs.augment


def test_a_loaded_configuration_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_config(None).lungs.input_size = 64  # type: ignore[misc]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[lungs]\nepohcs = 3\n", "lungs.epohcs"),
        ("[lungs]\ninput_size = 100\n", "lungs.input_size"),
        ("[lungs.optimization]\nlearning_rate = -1\n", "lungs.optimization.learning_rate"),
        ("[classifier.optimization]\noptimizer = 'rmsprop'\n", "classifier.optimization.optimizer"),
        ("[classifier.augment]\ngamma = [0.5]\n", "classifier.augment.gamma"),
        ("[classifier.split]\nvalidation = 0.5\n", "classifier.split.validation"),
        ("[lungs\n", "not valid TOML"),
        (b"name = '\xff'\n", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong_in_it(tmp_path: Path, content: str | bytes, complaint: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ConfigurationError) as caught:
        load_config(path)
    assert str(path) in str(caught.value)
    assert complaint in str(caught.value)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"lungs\.base_channels.*classifier\.dropout"):
        load_config(written(tmp_path, "[lungs]\nbase_channels = 1\n[classifier]\ndropout = 1.0\n"))


def test_a_missing_file_or_a_folder_is_a_configuration_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            load_config(path)
