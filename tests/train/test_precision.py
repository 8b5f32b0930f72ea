"""The arithmetic of a training: what the machine is fast at, said, written down, and kept when a run goes on."""

import json
from copy import deepcopy
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from rich.console import Console
from torch import nn

from lunglens.evaluate.run_record import ClassifierRun, Hardware, StudyName
from lunglens.study.config import Config, load_config
from lunglens.study.config.training import ClassifierConfig, LungsConfig, Optimization
from lunglens.study.report.results.differences import differences
from lunglens.train import loop as training
from lunglens.train import precision
from lunglens.train.crossval.run_folder import describe
from lunglens.train.precision import fastest, settled
from tests.train import test_loop as test_training

CONFIGS = sorted((Path(__file__).parents[2] / "src" / "lunglens" / "configs").glob("*.toml"))


def machine(monkeypatch: pytest.MonkeyPatch, *, gpu: bool | None = None, cpu: tuple[str, ...] = ()) -> None:
    """A machine without a GPU (None), or with one that has bf16 units or not; and a processor of these flags."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu is not None)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or gpu)
    monkeypatch.setattr(precision, "_cpu_capabilities", lambda: dict.fromkeys(cpu, True))


@pytest.mark.parametrize(
    ("gpu", "cpu", "expected"),
    [
        (None, (), ("32-true", "this processor has no bf16 units")),
        (None, ("avx2", "avx512_f"), ("32-true", "this processor has no bf16 units")),
        (None, ("avx2", "avx512_bf16"), ("bf16-mixed", "this processor has bf16 units")),
        (None, ("amx_bf16",), ("bf16-mixed", "this processor has bf16 units")),
        (None, ("amx_tile", "amx_int8"), ("32-true", "this processor has no bf16 units")),
        (True, (), ("bf16-mixed", "the GPU has bf16 units")),
        (False, ("amx_bf16",), ("32-true", "the GPU has no bf16 units")),
    ],
)
def test_bf16_only_where_there_are_units_for_it(
    monkeypatch: pytest.MonkeyPatch, gpu: bool | None, cpu: tuple[str, ...], expected: tuple[str, str]
) -> None:
    machine(monkeypatch, gpu=gpu, cpu=cpu)
    assert fastest() == expected


def test_the_processor_s_own_table_says_the_same_as_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    named = [flag for flag in precision._CPU_FLAGS if precision._cpu_capabilities().get(flag)]
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)  # as in torch 2.6
    assert [flag for flag in precision._CPU_FLAGS if precision._cpu_capabilities().get(flag)] == named
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError()))
    assert precision._cpu_capabilities() == {}


def said(config: Any, record: Path) -> tuple[str, str]:
    console = Console(file=StringIO(), width=200)
    found = settled(config, record, console)
    assert found == config.model_copy(update={"optimization": found.optimization})
    return found.optimization.precision, console.file.getvalue().strip()  # type: ignore[attr-defined]


def test_the_choice_is_made_once_and_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine(monkeypatch)
    record = tmp_path / "config.json"
    assert said(LungsConfig(), record) == ("32-true", "precision: 32-true (this processor has no bf16 units)")
    machine(monkeypatch, cpu=("avx512_bf16",))
    assert said(LungsConfig(), record) == ("bf16-mixed", "precision: bf16-mixed (this processor has bf16 units)")


@pytest.mark.parametrize("value", ["32-true", "bf16-mixed", "16-mixed"])
def test_an_explicit_value_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str) -> None:
    machine(monkeypatch, cpu=("amx_bf16",))
    config = ClassifierConfig(optimization=Optimization(precision=value))
    assert said(config, tmp_path / "config.json") == (value, "")
    with pytest.raises(ValidationError):
        Optimization(precision="bf16")


@pytest.mark.parametrize("begun", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("kind", [LungsConfig, ClassifierConfig])
def test_a_run_goes_on_as_it_was_begun(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, begun: str, kind: type[LungsConfig | ClassifierConfig]
) -> None:
    """Runs of the time when the files named bf16-mixed, or of another machine, open with a file that says auto."""
    machine(monkeypatch, cpu=("amx_bf16",) if begun == "32-true" else ())
    old = kind().model_copy(update={"optimization": kind().optimization.model_copy(update={"precision": begun})})
    plain = tmp_path / "config.json"
    plain.write_text(old.model_dump_json())
    assert said(kind(), plain) == (begun, f"precision: {begun} (as this run was begun)")
    console = Console(quiet=True)
    describe("lungs", {"config": old.model_dump(mode="json")}, tmp_path / "run")
    again = settled(kind(), tmp_path / "run" / "run.json", console)
    assert again == old
    describe("lungs", {"config": again.model_dump(mode="json")}, tmp_path / "run")  # else: "another config"


def test_the_files_that_ship_leave_the_choice_to_the_machine() -> None:
    for path in CONFIGS:
        config = load_config(path)
        assert config.lungs.optimization.precision == config.classifier.optimization.precision == "auto", path.name
    assert Config().lungs.optimization.precision == "auto"


@pytest.mark.parametrize(("flags", "expected"), [((), "32-true"), (("amx_bf16",), "bf16-mixed")])
def test_the_trainer_gets_what_was_chosen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: tuple[str, ...], expected: str
) -> None:
    machine(monkeypatch, cpu=flags)
    given: list[Any] = []
    trainer = training.L.Trainer

    def noted(**how: Any) -> Any:
        given.append(how["precision"])
        return trainer(**how)

    monkeypatch.setattr(training.L, "Trainer", noted)
    test_training.train(tmp_path, test_training.SETTINGS.model_copy(update={"epochs": 1}))
    assert given == [expected]


def test_the_paper_is_held_to_float32() -> None:
    config = ClassifierConfig(optimization=Optimization(precision="32-true")).model_dump(mode="json")
    run = ClassifierRun(
        **{"format": 1, "kind": "classifier", "model": "small", "config": config, "folds": [], "seed": 0},
        **{"date": "2026-11-24", "versions": {}, "hardware": Hardware(machine="x", cores=2, gpus=[])},
        **{"study": StudyName(name="s", fingerprint="f"), "classes": ["covid", "other"], "cut": True},
    )
    assert not [row for row in differences("films", [("a", run)]) if "precision" in row["what"]]
    other = run.model_copy(update={"config": json.loads(json.dumps(config).replace("32-true", "bf16-mixed"))})
    (row,) = [row for row in differences("films", [("a", other)]) if "precision" in row["what"]]
    assert (row["paper"], row["here"]) == ("32-true", "bf16-mixed")


def test_grouped_convolutions_compute_in_float32_under_autocast_and_learn_the_same() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 5, stride=2, groups=4))
    network = deepcopy(plain)
    precision.keep_grouped_in_float32(network)
    images = torch.rand(2, 4, 16, 16)
    for each in (plain, network):
        each(images).square().sum().backward()
    for one, other in zip(plain.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    with torch.autocast("cpu", torch.bfloat16):
        assert network[0](images).dtype == torch.bfloat16
        assert network(images).dtype == torch.float32


def test_a_copy_of_a_network_in_float32_uses_its_own_weights() -> None:
    network = nn.Sequential(nn.Conv2d(2, 2, 1, groups=2, bias=False))
    precision.keep_grouped_in_float32(network)
    copy = deepcopy(network)
    nn.init.zeros_(copy[0].weight)
    images = torch.ones(1, 2, 1, 1)
    assert float(copy(images).abs().sum()) == 0 < float(network(images).abs().sum())
    assert copy.state_dict().keys() == network.state_dict().keys()
