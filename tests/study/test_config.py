"""The configuration: the paper's values by default, and an error that names what a file got wrong."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from lunglens.cli.main import app
from lunglens.errors import ConfigurationError
from lunglens.study.config import Config, load_config, shipped_configs
from lunglens.study.config.schema import markdown, tables_of

CONFIGS = list(shipped_configs().values())


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "study.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_no_file_gives_the_paper_s_values() -> None:
    config = load_config(None)
    assert (config.lungs.input_size, config.lungs.optimization.learning_rate) == (512, 0.005)
    learning = config.classifier.optimization
    assert (learning.optimizer, learning.learning_rate, learning.momentum, learning.batch_size) == ("sgd", 0.01, 0.8, 8)
    assert config.classifier.augment.gamma == (0.5, 3.0)


def test_the_paper_s_file_says_what_the_defaults_say() -> None:
    found = load_config("paper")
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
        ("[lungs.split]\nvalidation = 0.5\n", "lungs.split.validation"),
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


# --- names, extends, changes


def test_a_table_that_extends_another_takes_the_rest_from_it_and_only_that_table() -> None:
    cpu, big, baselines = load_config("cpu"), load_config("cpu-192"), load_config("baselines")
    assert big.classifier.view.input_size == 192
    assert big.classifier.model_copy(update={"view": cpu.classifier.view}) == cpu.classifier
    assert (baselines.classifier.optimization.epochs, baselines.classifier.view.input_size) == (6, 128)
    assert baselines.lungs == Config().lungs != cpu.lungs
    cross = load_config("cross-site").lungs  # through lungs-128, which extends cpu
    assert (cross.optimization.epochs, cross.input_size, cross.base_channels, cross.augment.gamma) == (
        40,
        128,
        16,
        (0.35, 2.8),
    )


def test_a_file_extends_one_beside_it_and_lists_are_replaced(tmp_path: Path) -> None:
    written(tmp_path, "[study]\nextends = 'paper'\nname = 'mine'\ncriteria = [{ kind = 'age', min_years = 40 }]\n")
    (tmp_path / "b.toml").write_text("extends = 'study.toml'\n[lungs]\nbase_channels = 8\n")
    found = load_config(tmp_path / "b.toml")
    assert found.study is not None
    assert (found.study.name, found.study.class_names) == ("mine", ["covid", "non-covid"])
    assert [criterion.kind for criterion in found.study.criteria] == ["age"]
    assert found.lungs.base_channels == 8


def test_files_that_extend_each_other_are_told(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text("extends = 'study.toml'\n")
    with pytest.raises(ConfigurationError, match="extends itself"):
        load_config(written(tmp_path, "extends = 'b.toml'\n"))


def test_changes_take_toml_values_and_plain_words_and_the_last_counts() -> None:
    changes = ["classifier.backbone=resnet50", "classifier.head=[8]", "lungs.augment.scale=[1, 1.5]"]
    found = load_config("quick", [*changes, "classifier.optimization.epochs=3", "classifier.optimization.epochs=4"])
    assert (found.classifier.backbone, found.classifier.head) == ("resnet50", (8,))
    assert (found.lungs.augment.scale, found.classifier.optimization.epochs) == ((1, 1.5), 4)
    assert found.classifier.view == load_config("quick").classifier.view


def test_one_seed_is_every_seed_and_a_change_may_set_one_apart() -> None:
    found = load_config("tuberculosis", ["lungs.optimization.seed=2"], seed=7)
    assert found.study is not None
    assert (found.study.seed, found.classifier.optimization.seed, found.lungs.optimization.seed) == (7, 7, 2)
    assert load_config(None, seed=7).study is None


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("classifier.optimisation.epochs=3", "did you mean classifier.optimization?"),
        ("lungs.optimization.epohcs=3", "did you mean lungs.optimization.epochs?"),
        ("studdy=3", "did you mean study?"),
        ("lungs.optimization.epochs=0", "lungs.optimization.epochs: Input should be greater than or equal to 1"),
        ("study.criteria=[{ kind = 'view', keep_unkown = true }]", "did you mean study.criteria.view.keep_unknown?"),
        ("study.criteria.0.min_years=21", "criteria is no table"),
        ("epochs", "write it as key=value"),
        (".=1", "write it as key=value"),
    ],
)
def test_a_wrong_change_is_named_with_the_nearest_key(change: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_config("paper", [change])
    assert f"--set {change}" in str(caught.value)
    assert complaint in str(caught.value)


# --- lunglens config


def test_configurations_are_listed_shown_and_copied_with_their_exclusion_list(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["config", "list"]).output
    general, systems = (part.splitlines() for part in said.split("\n\n"))
    assert [line.split(":")[0] for line in [*general, *systems[1:]]] == list(shipped_configs())
    assert CliRunner().invoke(app, ["config", "show", "paper"]).output == shipped_configs()["paper"].read_text()
    done = CliRunner().invoke(app, ["config", "copy", "paper", str(tmp_path / "mine.toml")])
    assert done.exit_code == 0
    assert load_config(tmp_path / "mine.toml") == load_config("paper")
    assert (tmp_path / "exclude.csv").read_text() == "image,reason\n"
    again = CliRunner().invoke(app, ["config", "copy", "paper", str(tmp_path / "other.toml")])
    assert "exclude.csv: is there already" in str(again.exception)
    assert not (tmp_path / "other.toml").exists()


def test_the_page_of_all_keys_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "configuration.md"
    assert page.read_text() == markdown(Config), "write it again: lunglens config schema > docs/configuration.md"


def test_every_key_and_table_has_a_meaning() -> None:
    tables = tables_of(Config)
    assert {"study.criteria.age", "classifier.view", "lungs.augment"} <= {table.name for table in tables}
    assert [table.name for table in tables if not table.meaning] == []
    assert [f"{table.name}.{key.name}" for table in tables for key in table.keys if not key.meaning] == []
