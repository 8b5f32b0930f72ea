"""A sweep's file: which runs it means, where they lie, and what is said of a wrong one."""

from pathlib import Path

import pytest

from lunglens.errors import ConfigurationError
from lunglens.study.config.sweep import read_sweep

TEXT = """
systems = [
  "quick",
  { config = "cpu", name = "other", label = "Other", set = ["classifier.dropout=0.2"], inputs = ["film"] },
]
inputs = ["film", "lungs"]
seeds = [1, 2]
set = ["classifier.dropout=0.3", "classifier.optimization.epochs=1"]

[studies.paper]
folder = "studies/paper"
test = "studies/unseen"

[studies.control]
folder = "studies/tb"
set = ["classifier.optimization.epochs=4"]
"""


def written(folder: Path, text: str) -> str:
    (folder / "sweep.toml").write_text(text, encoding="utf-8")
    return str(folder / "sweep.toml")


def test_every_system_meets_every_study_input_and_seed(tmp_path: Path) -> None:
    runs = list(read_sweep(written(tmp_path, TEXT)).runs())
    assert [run.folder for run in runs[:6]] == [
        "paper/quick-film-s1",
        "paper/quick-film-s2",
        "paper/quick-lungs-s1",
        "paper/quick-lungs-s2",
        "paper/other-film-s1",
        "paper/other-film-s2",
    ]
    assert len(runs) == 12
    assert [run.label for run in runs[3:5]] == ["quick", "Other"]


def test_a_study_limits_the_inputs(tmp_path: Path) -> None:
    text = TEXT.replace('folder = "studies/tb"', 'folder = "studies/tb"\ninputs = ["lungs"]')
    control = [run for run in read_sweep(written(tmp_path, text)).runs() if run.study == "control"]
    assert {(run.system, run.shown) for run in control} == {("quick", "lungs")}


def test_the_nearer_change_counts(tmp_path: Path) -> None:
    runs = {run.folder: run for run in read_sweep(written(tmp_path, TEXT)).runs()}
    quick, other = (runs[name].load().classifier for name in ("control/quick-lungs-s2", "control/other-film-s1"))
    assert (quick.dropout, quick.view.cut, quick.optimization.epochs, quick.optimization.seed) == (0.3, True, 4, 2)
    assert (other.dropout, other.view.cut, other.optimization.epochs) == (0.2, False, 4)


def test_the_line_for_a_shell_means_the_same(tmp_path: Path) -> None:
    run = next(run for run in read_sweep(written(tmp_path, TEXT)).runs() if run.folder == "paper/other-film-s2")
    assert run.command(Path("my runs"), "0") == (
        "lunglens crossval classifier studies/paper --config cpu --set classifier.dropout=0.3 "
        "--set classifier.optimization.epochs=1 --set classifier.dropout=0.2 --set classifier.view.cut=false "
        "--seed 2 --test studies/unseen --fold 0 --out 'my runs/paper/other-film-s2'"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"quick"', '"cpu"', None),
        ('name = "other"', 'name = "quick"', "two systems are called quick"),
        ('inputs = ["film", "lungs"]', 'inputs = ["heart"]', "inputs.0: Input should be 'film', 'lungs'"),
        ("seeds", "seed", "seed: Extra inputs"),
        ("studies.control", "studies.'a/b'", "studies.a/b.*: String should match"),
        ('inputs = ["film"] }', 'studies = ["papr"] }', "takes part in papr"),
        ('folder = "studies/tb"', "", "studies.control.folder: Field required"),
        ("[studies.paper]", "[studies.paper", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, message: str | None) -> None:
    path = written(tmp_path, TEXT.replace(old, new, 1))
    if message is None:
        assert read_sweep(path)
        return
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_sweep(path)
    assert str(caught.value).startswith(path)


def test_a_missing_file_says_what_ships() -> None:
    with pytest.raises(ConfigurationError, match="give a TOML file, or arms, arms-data, cures, distilled, table1"):
        read_sweep("nothing")


def test_the_shipped_sweep_has_the_paper_s_network_first() -> None:
    sweep = read_sweep("table1")
    assert sweep.systems[0].name == "hrnet"
    assert set(sweep.studies) == {"paper", "three-classes", "tuberculosis"}
    assert {run.shown for run in sweep.runs() if run.study == "three-classes"} == {"film"}


@pytest.mark.parametrize("name", ["arms", "distilled"])
def test_the_arms_that_ship_are_trained_on_one_split(name: str) -> None:
    for run in read_sweep(name).runs():
        assert run.load().classifier.optimization.epochs == 5
        assert run.folds == ("0",)


def test_decorrelated_features_are_asked_of_sources_within_a_class_alone() -> None:
    runs = list(read_sweep("cures").runs())
    assert {run.study for run in runs if run.load().classifier.decorrelate} == {"three-class"}
    assert {(run.data.name, run.test.name) for run in runs if run.test} == {
        ("paper", "unseen"),
        ("three-class", "unseen-three"),
    }
