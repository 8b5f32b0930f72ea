"""A training that was killed and goes on ends with the same weights as one that was not; one seed, one result."""

import os
import pickle
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lunglens.errors import DataError
from lunglens.study.config.training import Optimization
from lunglens.train import loop as training
from lunglens.train.loop import EpochSampler, fit, load_kept, optimizers

SETTINGS = Optimization(optimizer="adamw", schedule="onecycle", epochs=4, batch_size=4, seed=3, keep="last")


class Tiny(L.LightningModule):
    """A network with dropout and batch normalisation that can be told to die."""

    def __init__(self, settings: Optimization, dies_in_epoch: int | None = None) -> None:
        super().__init__()
        self.settings, self.dies_in_epoch = settings, dies_in_epoch
        self.net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        if self.current_epoch == self.dies_in_epoch and index == 2:
            raise RuntimeError("killed")
        return (self.net(batch[0] + 0.1 * torch.randn_like(batch[0])) - batch[1]).square().mean()

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        self.log("validation_loss", (self.net(batch[0]) - batch[1]).square().mean())

    def configure_optimizers(self) -> dict[str, object]:  # type: ignore[override]
        return optimizers(self, self.settings, int(self.trainer.estimated_stepping_batches))


def train(folder: Path, settings: Optimization = SETTINGS, dies_in_epoch: int | None = None) -> dict[str, Tensor]:
    L.seed_everything(settings.seed, verbose=False)
    inputs = torch.randn(24, 3, generator=torch.Generator().manual_seed(1))
    data = TensorDataset(inputs, inputs.sum(1, keepdim=True))
    loader = DataLoader(data, batch_size=4, sampler=EpochSampler(24, settings.seed))
    module = Tiny(settings, dies_in_epoch)
    fit(module, loader, data, folder, settings)
    return module.state_dict()


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weight_average": 0.9},
        {"optimizer": "sgd", "schedule": "steps", "steps": (2,)},
        {"schedule": "plateau", "patience": 1, "learning_rate": 3.0, "lowest_rate": 0.5},  # too fast, so that it stalls
    ],
)
def test_a_killed_training_ends_like_an_undisturbed_one(tmp_path: Path, changes: dict[str, object]) -> None:
    settings = SETTINGS.model_copy(update=changes)
    whole = train(tmp_path / "whole", settings)
    with pytest.raises(RuntimeError, match="killed"):
        train(tmp_path / "killed", settings, dies_in_epoch=2)
    assert equal(train(tmp_path / "killed", settings), whole)
    assert len(list((tmp_path / "killed" / "log").glob("start-*"))) == 2


def test_a_plateau_lowers_the_rate_and_a_finished_training_keeps_its_weights_alone(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"schedule": "plateau", "patience": 1, "learning_rate": 3.0, "epochs": 9})
    weights = train(tmp_path, settings)
    last = tmp_path / "checkpoints" / "last.ckpt"
    (group,) = torch.load(last, weights_only=True)["optimizer_states"][0]["param_groups"]
    assert group["lr"] < 3
    size = last.stat().st_size
    training.lighten(tmp_path)
    training.lighten(tmp_path)
    assert last.stat().st_size < size
    kept = Tiny(settings)
    load_kept(kept, tmp_path, settings)
    assert equal(kept.state_dict(), weights)


def test_one_seed_gives_one_result_and_another_seed_another(tmp_path: Path) -> None:
    first = train(tmp_path / "a")
    assert equal(train(tmp_path / "b"), first)
    assert not equal(train(tmp_path / "c", SETTINGS.model_copy(update={"seed": 4})), first)


def test_a_moving_average_gives_other_weights_than_the_last_step(tmp_path: Path) -> None:
    averaged = train(tmp_path / "a", SETTINGS.model_copy(update={"weight_average": 0.9}))
    assert not equal(averaged, train(tmp_path / "b"))


def test_epochs_draw_differently_and_weights_are_kept() -> None:
    plain = EpochSampler(50, 1)
    first = list(plain)
    plain.set_epoch(1)
    assert sorted(first) == sorted(plain) == list(range(50))
    assert first != list(plain)
    drawn = list(EpochSampler(3, 1, torch.tensor([0.0, 1.0, 3.0]), 4000))
    assert len(drawn) == 4000
    assert drawn.count(0) == 0
    assert drawn.count(2) / 4000 == pytest.approx(0.75, abs=0.03)


def test_tensorboard_and_mlflow_are_used_where_the_user_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, dict[str, object]]] = []
    for name in ("TensorBoardLogger", "MLFlowLogger"):
        monkeypatch.setattr(training, name, lambda *_, name=name, **how: made.append((name, how)))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(training, "find_spec", lambda _: None)
    assert len(training.loggers(tmp_path / "run" / "folds" / "3", "start-0")) == 1
    monkeypatch.setattr(training, "find_spec", lambda _: object())
    assert len(training.loggers(tmp_path / "run" / "folds" / "3", "start-0")) == 2
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    assert len(training.loggers(tmp_path / "run" / "folds" / "3", "start-1")) == 3
    assert made[-1] == (
        "MLFlowLogger",
        {"experiment_name": "lunglens", "run_name": "run/folds/3", "tracking_uri": "http://localhost:5000"},
    )


def test_fewer_films_than_a_batch_are_refused(tmp_path: Path) -> None:
    data = TensorDataset(torch.zeros(3, 3), torch.zeros(3, 1))
    loader = DataLoader(data, batch_size=4, sampler=EpochSampler(3, 1), drop_last=True)
    with pytest.raises(DataError, match="lower batch_size"):
        fit(Tiny(SETTINGS), loader, data, tmp_path, SETTINGS)


class Bomb:
    """Unpickled, it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
@pytest.mark.parametrize("how", ["whole", "within", "raw", "cut", "empty", "list"])
def test_a_checkpoint_that_holds_more_than_weights_executes_nothing(tmp_path: Path, name: str, how: str) -> None:
    settings = SETTINGS.model_copy(update={"keep": name.partition(".")[0], "epochs": 1})
    train(tmp_path, settings)
    path, trace = tmp_path / "checkpoints" / name, tmp_path / "executed"
    good = torch.load(path, weights_only=True)
    if how == "raw":
        path.write_bytes(pickle.dumps(Bomb(trace), protocol=2))
    elif how in ("cut", "empty"):
        path.write_bytes(path.read_bytes()[: 1000 if how == "cut" else 0])
    else:
        torch.save({"whole": Bomb(trace), "within": good | {"callbacks": Bomb(trace)}, "list": [1]}[how], path)
    with pytest.raises(DataError, match=f"{name}: is no checkpoint of a training"):
        load_kept(Tiny(settings), tmp_path, settings)
    if name == "last.ckpt":
        with pytest.raises(DataError, match="is no checkpoint of a training"):
            train(tmp_path, settings)
    assert not trace.exists()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    train(tmp_path, SETTINGS.model_copy(update={"epochs": 1}))
    other = Tiny(SETTINGS)
    other.net = nn.Sequential(nn.Linear(3, 9))
    with pytest.raises(DataError, match="another network's weights"):
        load_kept(other, tmp_path, SETTINGS)


def test_without_films_to_validate_on_it_is_said_before_the_training(tmp_path: Path) -> None:
    data = TensorDataset(torch.randn(8, 3), torch.randn(8, 1))
    settings = SETTINGS.model_copy(update={"keep": "best"})
    with pytest.raises(DataError, match="no film is left to choose the best epoch by"):
        fit(Tiny(settings), DataLoader(data, batch_size=4), TensorDataset(torch.randn(0, 3)), tmp_path, settings)
    assert not list(tmp_path.iterdir())
