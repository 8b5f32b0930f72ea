"""Films to test on: none that another study knows, and no model is tested on a study that was not kept apart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from lunglens.errors import DataError, OutputError
from lunglens.film.preprocess import resize
from lunglens.study.config import load_config
from lunglens.study.criteria_of_pixels import by_apart
from lunglens.study.folder import Study, load_study
from lunglens.study.folds import FoldSettings, write_folds
from lunglens.train.crossval.classifier import crossval_classifier
from tests.support.phantom import save_png
from tests.support.runs import run_here
from tests.support.study_folder import study_folder

QUICK = load_config(Path(__file__).parents[2] / "src" / "lunglens" / "configs" / "quick.toml").classifier
CONSOLE = Console(quiet=True)


def blobs(seed: int) -> NDArray[np.float32]:
    values = np.random.default_rng(seed).random((6, 6)).astype(np.float32)
    return resize(values, 256, 256)


def renamed(study: Study, fingerprint: str, **more: object) -> Study:
    """The same films as another study with its own name, patients and fingerprint."""
    table = study.table.assign(
        image_id="far-" + study.table["image_id"], group_id="far-" + study.table["group_id"], source="far"
    )
    record = study.record.model_copy(update={"fingerprint": fingerprint, "name": "far"} | more)
    return replace(study, table=table, record=record)


def test_copies_patients_and_cases_of_the_study_are_dropped_and_nothing_else(tmp_path: Path) -> None:
    study = load_study(study_folder(tmp_path / "study", 6, both=True))
    known = np.asarray(Image.open(study.folder / study.table.loc[2, "film"])).astype(np.float32) / 255
    copy = save_png(known[12:-12, 12:-12] * 0.8, tmp_path / "copy.png")
    # Drawn chests are all alike, so these are none.
    patient, fresh, unknown = (save_png(blobs(seed), tmp_path / f"{seed}.png") for seed in (1, 2, 3))
    table = pd.DataFrame(
        {
            "path": [str(copy), str(patient), str(fresh), str(unknown)],
            "source": ["far", "here", "far", "far"],
            "patient_id": [None, "4", "4", None],  # the fourth patient of another collection is somebody else
            "group_id": ["", "here-4", "far-4", ""],
            "case_url": None,
        },
        index=[5, 7, 9, 11],
    )
    verdict = by_apart(table, [study], tmp_path / "cache", CONSOLE)
    assert verdict.reasons.to_dict() == {
        5: "tied to a film of another study",
        7: "tied to a film of another study",
        9: "",
        11: "",
    }
    # Of a patient nobody knows it cannot be told: that film is counted.
    assert verdict.unknown_kept.to_dict() == {5: False, 7: False, 9: False, 11: True}
    assert "12 films" in verdict.words


def test_every_fold_s_model_is_tested_on_the_unseen_study(tmp_path: Path) -> None:
    study = load_study(study_folder(tmp_path / "study", 6, both=True))
    write_folds(study, FoldSettings(folds=2))
    unseen = renamed(study, "cd" * 32, apart_from=(study.fingerprint,))
    unseen.table.loc[:5, "group_id"] = ""  # of some, the patient is not known
    out = tmp_path / "run"
    first = crossval_classifier(study, QUICK, out, run_here, CONSOLE)
    results = {path: path.stat().st_mtime_ns for path in out.glob("folds/*/result.json")}
    metrics = crossval_classifier(study, QUICK, out, run_here, CONSOLE, unseen)
    # The folds are not trained again, and what they have given is not touched.
    assert {path: path.stat().st_mtime_ns for path in out.glob("folds/*/result.json")} == results
    assert metrics.pooled == first.pooled
    predictions = pd.read_csv(out / "predictions.csv", dtype={"fold": str}).set_index("image_id")
    far = predictions[predictions["fold"] == "external"]
    assert sorted(far.index) == sorted(unseen.table["image_id"])
    assert metrics.external["all"].n == len(far) == 12
    assert metrics.external["all"].without_group == 6
    # Each unseen film has the mean of the two models' answers; one of them is the one that tested it in its fold.
    parts = [pd.read_csv(out / "unseen" / "folds" / fold / "predictions.csv").set_index("image_id") for fold in "01"]
    assert np.allclose(far["p_covid"], (parts[0]["p_covid"] + parts[1]["p_covid"])[far.index] / 2, atol=1e-6)
    for fold, part in zip("01", parts, strict=True):
        tested = predictions[predictions["fold"] == fold]
        assert np.allclose(tested["p_covid"], part.loc["far-" + tested.index, "p_covid"], atol=1e-6)


def test_a_study_that_was_not_kept_apart_is_refused(tmp_path: Path) -> None:
    study = load_study(study_folder(tmp_path / "study", 4, both=True))
    write_folds(study, FoldSettings(folds=2))
    with pytest.raises(DataError, match="--apart-from"):
        crossval_classifier(study, QUICK, tmp_path / "run", run_here, CONSOLE, renamed(study, "cd" * 32))
    others = renamed(study, "cd" * 32, apart_from=(study.fingerprint,), classes=("covid", "tuberculosis"))
    with pytest.raises(DataError, match="its classes"):
        crossval_classifier(study, QUICK, tmp_path / "run", run_here, CONSOLE, others)
    assert not (tmp_path / "run").exists()


def test_other_folds_of_the_study_are_another_run(tmp_path: Path) -> None:
    study = load_study(study_folder(tmp_path / "study", 6, both=True))
    write_folds(study, FoldSettings(folds=2))
    crossval_classifier(study, QUICK, tmp_path / "run", run_here, CONSOLE)
    write_folds(study, FoldSettings(folds=2, seed=5))
    with pytest.raises(OutputError, match="other folds"):
        crossval_classifier(study, QUICK, tmp_path / "run", run_here, CONSOLE)
