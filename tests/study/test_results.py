"""`lunglens explain` and the report of a study's results, on phantom runs."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from lunglens.errors import DataError
from lunglens.evaluate.compare import compare
from lunglens.evaluate.figures.comparison import write_comparison
from lunglens.evaluate.figures.style import spread
from lunglens.film.parameters import View
from lunglens.film.severity import ZONES
from lunglens.study.config import load_config
from lunglens.study.folder import load_study
from lunglens.study.folds import FoldSettings, write_folds
from lunglens.study.report.results import Inputs, write_results_report
from lunglens.study.sources.rsna_readings import MAPPING
from lunglens.train.crossval.classifier import crossval_classifier
from lunglens.train.crossval.compare_heatmaps import ExplainSettings, explain
from lunglens.train.crossval.lungs import crossval_lungs
from lunglens.train.crossval.oof_heatmaps import on_whole_film, randomised, read_heat_run
from lunglens.train.networks.classifier import Classifier
from tests.support.runs import run_here
from tests.support.study_folder import HOSTILE, study_folder

CONFIG = load_config(Path(__file__).parents[2] / "src" / "lunglens" / "configs" / "quick.toml")
QUICK, LUNGS = CONFIG.classifier, CONFIG.lungs
CONSOLE = Console(quiet=True)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A study, a run on whole films, a run on cut ones."""
    root = tmp_path_factory.mktemp("explain")
    study = load_study(study_folder(root / "study", 6, both=True))
    write_folds(study, FoldSettings(folds=2))
    whole = QUICK.model_copy(update={"view": QUICK.view.model_copy(update={"cut": False})})
    crossval_classifier(study, whole, root / "uncut", run_here, CONSOLE)
    crossval_classifier(study, QUICK, root / "cut", run_here, CONSOLE)
    return study.folder, root / "uncut", root / "cut"


@pytest.fixture(scope="module")
def heat(folders: tuple[Path, Path, Path]) -> Path:
    """What `explain` says of the two runs, with two radiologists' scores of two of the films."""
    study, uncut, cut = folders
    out = study.parent / "heat"
    scores = pd.DataFrame(
        np.random.default_rng(0).integers(0, 4, (3, 12)),
        columns=[f"{reader}-{zone}" for reader in "SJ" for zone in ZONES],
    )
    scores.insert(0, "filename", ["000.png", "001.jpeg", "elsewhere.png"])
    scores.to_csv(study.parent / "brixia.csv", index=False)
    boxes = study.parent / "boxes.csv"
    boxes.write_text("patientId,x,y,width,height\nx-1,0,0,1024,512\n000,9,9,9,9\n")
    boxes.with_name(MAPPING).write_text('[{"subset_img_id": "x-1", "img_id": "001.png"}]')
    settings = ExplainSettings(cases=1, brixia=study.parent / "brixia.csv", boxes=boxes)
    found = explain(load_study(study), uncut, cut, out, settings, CONSOLE)
    assert json.loads((out / "heat.json").read_text()) == found
    return out


def test_every_film_is_explained_once_by_the_model_that_tested_it(folders: tuple[Path, Path, Path], heat: Path) -> None:
    _, uncut, cut = folders
    found = json.loads((heat / "heat.json").read_text())
    table = pd.read_csv(heat / "heat.csv").set_index("image_id")
    for side, run in (("uncut", uncut), ("cut", cut)):
        said = pd.read_csv(run / "predictions.csv").set_index("image_id")["p_covid"]
        assert np.allclose(table[f"p_{side}"], said[table.index], atol=1e-4)
        shares = table[f"heat_in_lungs_{side}"].dropna()
        assert shares.between(0, 1).all()
        if len(shares):
            assert found["all"][side]["heat_share"] == pytest.approx(shares.mean(), abs=1e-4)
        assert set(found["weights"][side]) == {
            "head",
            "head and last third of the layers",
            "all layers",
            "other film",
        }
        assert found["brixia"][side]["in_study"] == 2
        boxes = found["boxes"][side]["all"]
        assert boxes["n"] + boxes["without_heat"] == 2  # a film by RSNA's name, one by NIH's
    assert len(table) == 12
    assert (heat / "cases.png").stat().st_size > 10_000
    assert "trained on cut films" in (heat / "heat.svg").read_text()


def test_runs_that_cannot_be_compared_are_refused(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    study, uncut, cut = folders
    with pytest.raises(DataError, match="swap the runs"):
        explain(load_study(study), cut, uncut, tmp_path / "out", ExplainSettings(), CONSOLE)
    known = load_study(study)
    other = replace(known, record=known.record.model_copy(update={"fingerprint": "ef" * 32}))
    with pytest.raises(DataError, match="another study"):
        explain(other, uncut, cut, tmp_path / "out", ExplainSettings(), CONSOLE)
    with pytest.raises(DataError, match=r"run\.json: not there; finish the run"):
        read_heat_run(study)
    assert not (tmp_path / "out").exists()


def test_the_report_of_the_study_puts_all_results_on_one_page(
    folders: tuple[Path, Path, Path], heat: Path, phantom_root: Path, tmp_path: Path
) -> None:
    study, uncut, cut = folders
    heat = shutil.copytree(heat, tmp_path / "heat")
    write_comparison(compare([uncut, cut]), tmp_path / "compared")
    crossval_lungs(phantom_root, LUNGS, FoldSettings(folds=2), tmp_path / "lungs", run_here, CONSOLE)
    page = write_results_report(
        study,
        Inputs((uncut, cut), lungs=(tmp_path / "lungs",), compared=tmp_path / "compared", heat=heat),
    )
    text, numbers = page.read_text(encoding="utf-8"), json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    pooled = json.loads((cut / "metrics.json").read_text())["pooled"]
    assert spread(pooled["auroc"], pooled["auroc_95_ci"]).split(" (")[0] in text
    assert [row["name"] for row in numbers["summary"]] == ["uncut", "cut"]
    assert numbers["heat"] == json.loads((heat / "heat.json").read_text())
    changed = {row["what"]: (row["paper"], row["here"], row["runs"]) for row in numbers["differences"]}
    assert changed["classifier: view.input_size"] == ("512", str(QUICK.view.input_size), "")
    assert changed["classifier: view.cut"] == ("yes", "no", "uncut")
    assert changed["classifier: backbone"] == ("hrnet_w18", QUICK.backbone, "")
    assert changed["Films"][1] == "6 covid + 6 other"
    assert "hottest pixel in a box" in text
    # One file: nothing is fetched, and a study's own words are no code.
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    assert HOSTILE not in text
    assert text.count("data:image/svg+xml") >= 10
    # Without runs there is only the data's page; a run of the wrong kind is refused.
    with pytest.raises(DataError, match="not classifier"):
        write_results_report(study, Inputs((tmp_path / "lungs",)))
    about = json.loads((heat / "heat.json").read_text())
    (heat / "heat.json").write_text(json.dumps(about | {"study": {"fingerprint": "x", "name": "other"}}))
    with pytest.raises(DataError, match="another study"):
        write_results_report(study, Inputs((uncut,), heat=heat))


def test_heat_of_a_cropped_view_lies_where_the_view_was() -> None:
    region = np.zeros((64, 64), bool)
    region[16:48, 32:64] = True
    heat = np.ones((8, 8), np.float32)
    placed = on_whole_film(heat, region, View(film_size=64, input_size=64, crop=True, crop_margin=0.0))
    assert np.array_equal(placed > 0.5, region)
    assert on_whole_film(heat, region, View(film_size=64, input_size=64)) is heat


def test_only_the_layers_from_the_output_backwards_are_randomised() -> None:
    def changed(share: float) -> list[bool]:
        torch.manual_seed(1)
        classifier = Classifier("hrnet_w18_small", (8,), 0.0)
        for parameter in classifier.parameters():
            torch.nn.init.constant_(parameter, 0.5)
        randomised(classifier, share, 3)
        streams = [bool((p != 0.5).any()) for n, p in classifier.streams.named_parameters() if n.endswith("weight")]
        assert all((layer.weight != 0.5).any() for layer in classifier.layers)
        return streams

    assert not any(changed(0.0))
    assert all(changed(1.0))
    third = changed(1 / 3)
    assert not third[0] and third[-1]
