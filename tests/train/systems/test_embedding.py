"""Embeddings of one's own: folds, films never trained on and calibration as any run; and what is wrong with a file."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from lunglens.errors import ConfigurationError, DataError
from lunglens.study.config import load_config
from lunglens.study.config.training import ClassifierConfig
from lunglens.study.folder import load_study
from lunglens.study.folds import FoldSettings, write_folds
from lunglens.train import crossval_classifier, export_run
from lunglens.train.systems.embedding import assert_can_train
from tests.support.runs import run_here
from tests.support.study_folder import study_folder

CONSOLE = Console(quiet=True)


def config(file: Path) -> ClassifierConfig:
    changes = ["classifier.network=embedding", f"classifier.options.file={file}"]
    return load_config("quick", changes).classifier


def embeddings(folder: Path, file: Path, leave_out: int = 0) -> Path:
    """Numbers of which one tells the class, nearly, and seven tell nothing."""
    films = pd.read_csv(folder / "manifest.csv", dtype=str)[leave_out:]
    generator = np.random.default_rng(0)
    told = np.where(films["class"] == "covid", 2.0, -2.0)[:, None]
    numbers = np.concatenate([told, np.zeros((len(films), 7))], axis=1) + generator.normal(0, 1, (len(films), 8))
    order = generator.permutation(len(films))  # the file's order is its own
    np.savez(file, film=films["image_id"].to_numpy(str)[order], embedding=numbers[order])
    return file


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = study_folder(tmp_path_factory.mktemp("study"), 30, both=True)
    write_folds(load_study(folder), FoldSettings(folds=3))
    return folder


def test_a_run_over_them_is_like_any_other(study: Path, tmp_path: Path) -> None:
    file = embeddings(study, tmp_path / "emb.npz")
    crossval_classifier(load_study(study), config(file), tmp_path / "run", run_here, CONSOLE)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["pooled"]["auroc"] > 0.95
    assert metrics["pooled"]["n"] == 60
    before = pd.read_csv(tmp_path / "run" / "predictions.csv")
    again = crossval_classifier(load_study(study), config(file), tmp_path / "run", run_here, CONSOLE)
    assert again is not None
    assert pd.read_csv(tmp_path / "run" / "predictions.csv").equals(before)
    with pytest.raises(DataError, match="there is no package"):
        export_run(tmp_path / "run", tmp_path / "package", fold="0")


def test_of_three_classes_too(study: Path, tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", 30)
    table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
    table.loc[table.index % 3 == 2, "class"] = "third"
    table.to_csv(folder / "manifest.csv", index=False)
    about = json.loads((folder / "study.json").read_text()) | {"classes": ["covid", "other", "third"]}
    (folder / "study.json").write_text(json.dumps(about))
    write_folds(load_study(folder), FoldSettings(folds=2))
    file = embeddings(folder, tmp_path / "emb.npz")
    crossval_classifier(load_study(folder), config(file), tmp_path / "run", run_here, CONSOLE)
    scores = pd.read_csv(tmp_path / "run" / "predictions.csv")[["p_covid", "p_other", "p_third"]]
    assert scores.sum(axis=1).to_numpy() == pytest.approx(np.ones(60), abs=1e-4)


def test_a_film_without_numbers_is_named(study: Path, tmp_path: Path) -> None:
    file = embeddings(study, tmp_path / "emb.npz", leave_out=2)
    with pytest.raises(Exception, match="has no embedding of 2 films, such as here-000"):
        crossval_classifier(load_study(study), config(file), tmp_path / "run", run_here, CONSOLE)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"film": ["a"]}, "embedding is not a file"),
        ({"film": ["a", "b"], "embedding": [[1.0]]}, r"give film \(N,\) and embedding"),
        ({"film": ["a"], "embedding": [1.0]}, r"give film \(N,\) and embedding"),
        ({"film": ["a"], "embedding": [[np.nan]]}, "what is no number"),
        ({"film": ["a"], "embedding": [["x"]]}, "cannot be read as embeddings"),
    ],
)
def test_what_is_no_embedding_is_said_before_there_is_a_run(
    content: dict[str, list[object]], problem: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "emb.npz", **{name: np.array(values) for name, values in content.items()})
    with pytest.raises(DataError, match=problem):
        assert_can_train(config(tmp_path / "emb.npz"), 1)


def test_no_file_and_no_options_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as embeddings"):
        assert_can_train(config(tmp_path / "nosuch.npz"), 1)
    with pytest.raises(ConfigurationError, match="give file"):
        assert_can_train(load_config("quick", ["classifier.network=embedding"]).classifier, 1)
