"""`lunglens curate` on made-up data sets: the same bytes every time, whole or not at all, going on when killed."""

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image
from rich.console import Console

from lunglens.errors import ConfigurationError, DataError, OutputError
from lunglens.film.model_package.package import ModelPackage, load_package, shipped_models
from lunglens.study import prepare as films
from lunglens.study.build import Order, curate
from lunglens.study.config import load_config
from lunglens.study.config.study import StudyConfig
from lunglens.study.folder import COLUMNS, fingerprint, load_study
from lunglens.study.folds import FoldSettings, write_folds
from lunglens.study.prepare import border_width
from tests.support.phantom import chest, data_root, save_png
from tests.support.published import text

CONFIG = """
[study]
name = "phantoms"
seed = 1

[[study.classes]]
name = "covid"
sources = ["covid-chestxray-dataset"]
diagnoses = ["COVID-19"]

[[study.classes]]
name = "not"
sources = ["nih-chestxray14"]
diagnoses = ["No Finding"]

[[study.criteria]]
kind = "modality"

[[study.criteria]]
kind = "view"

[[study.criteria]]
kind = "age"

[[study.criteria]]
kind = "diagnosis"

[[study.criteria]]
kind = "exclusion-list"

[[study.criteria]]
kind = "duplicates"

[[study.criteria]]
kind = "lungs"
min_area_px = 20000

[[study.criteria]]
kind = "cap"
most = { not = 8 }
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = data_root(tmp_path_factory.mktemp("data"))
    (folder / "nih-chestxray14" / "images" / "00000002_000.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (folder / "study.toml").write_text(CONFIG)
    (folder / "exclude.csv").write_text("image,reason\ncovid3.png,marker\n")
    return folder


@pytest.fixture(scope="module")
def lungs() -> ModelPackage:
    return load_package(shipped_models() / "lungs")


def config_of(root: Path) -> StudyConfig:
    study = load_config(root / "study.toml").study
    assert study is not None
    return study


def build(root: Path, out: Path, lungs: ModelPackage) -> Path:
    return build_of(root, config_of(root), out, lungs)


def build_of(root: Path, config: StudyConfig, out: Path, lungs: ModelPackage, **order: Any) -> Path:
    curate(Order(root, config, root, lungs, **order), out, Console(quiet=True))
    return out


@pytest.fixture(scope="module")
def study(root: Path, lungs: ModelPackage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(root, tmp_path_factory.mktemp("studies") / "study", lungs)


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_film_is_in_the_manifest_or_among_the_dropped_with_a_reason(root: Path, study: Path) -> None:
    kept, dropped = load_study(study).table, pd.read_csv(study / "dropped.csv")
    counts = json.loads((study / "counts.json").read_text())
    read = sum(sum(sources.values()) for sources in counts[0]["kept"].values())
    assert len(kept) + len(dropped) == read
    assert set(kept["path"]).isdisjoint(dropped["path"])
    reason = dropped.set_index(dropped["path"].map(lambda path: Path(path).name))["reason"]
    assert reason["covid3.png"] == "marker"
    assert reason["00000002_000.png"] == "cannot be read"
    assert reason["covid0.png"] == "diagnosis Klebsiella"
    assert (kept["class"] == "not").sum() == 8


def test_the_counts_of_each_step_follow_from_those_before(study: Path) -> None:
    counts = json.loads((study / "counts.json").read_text())
    sizes = [sum(sum(sources.values()) for sources in step["kept"].values()) for step in counts]
    lost = [before - after for before, after in itertools.pairwise(sizes)]
    assert lost == [step["dropped"] for step in counts[1:]]
    assert [step["kind"] for step in counts[1:]] == [criterion["kind"] for criterion in _criteria(study)]


def _criteria(study: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((study / "config.json").read_text())["config"]["criteria"]
    return found


def test_the_cut_is_the_film_under_its_mask(study: Path) -> None:
    table = load_study(study).table
    assert list(table.columns) == [*COLUMNS, "label", "opacity"]
    for row in table.head(4).itertuples():
        film = np.asarray(Image.open(study / str(row.film)))
        mask = np.asarray(Image.open(study / str(row.mask)))
        assert film.shape == mask.shape == (512, 512)
        assert mask.dtype == bool
        assert mask.sum() == row.lung_px >= 20000
        assert np.array_equal(np.asarray(Image.open(study / str(row.cut))), film * mask)
        assert (row.width_px, row.height_px, row.bits) == (96, 96, 8)


def test_nothing_of_dropped_films_is_left_behind(study: Path) -> None:
    table = load_study(study).table
    wanted = {*table["film"], *table["mask"], *table["cut"]}
    assert {name for name in contents(study) if name.endswith(".png")} == wanted
    assert [path.name for path in study.parent.iterdir() if not path.name.startswith(".")] == ["study"]


def test_a_second_build_is_the_same_to_the_last_byte(
    root: Path, study: Path, lungs: ModelPackage, tmp_path: Path
) -> None:
    again = build(root, tmp_path / "again", lungs)
    assert contents(again) == contents(study)
    description = json.loads((study / "study.json").read_text())
    assert fingerprint(study, load_study(study).table) == description["fingerprint"]


def test_a_finished_study_is_not_built_again_and_another_one_not_over_it(
    root: Path, study: Path, lungs: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(study)
    monkeypatch.setattr("lunglens.study.prepare.read_radiograph", None)  # nothing is read
    build(root, study, lungs)
    assert contents(study) == before
    other = config_of(root).model_copy(update={"seed": 2})
    with pytest.raises(OutputError, match="of another configuration"):
        build_of(root, other, study, lungs)


def test_a_folder_that_holds_something_else_is_left_alone(root: Path, lungs: ModelPackage, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="choose another --out"):
        build(root, tmp_path, lungs)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_source_that_is_missing_is_left_out_aloud_where_the_class_has_another(
    root: Path, lungs: ModelPackage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = config_of(root).classes
    more = rules[1].model_copy(update={"sources": ("nih-chestxray14", "chexpert")})
    config = config_of(root).model_copy(update={"classes": (rules[0], more)})
    record = curate(Order(root, config, root, lungs), tmp_path / "study", Console(width=400))
    assert "WITHOUT chexpert:" in capsys.readouterr().out
    assert record.without == ("chexpert",)
    asked = curate(Order(root, config, root, lungs, without=("chexpert",)), tmp_path / "study", Console(width=400))
    assert asked == record == load_study(tmp_path / "study").record
    assert "WITHOUT" not in capsys.readouterr().out


def test_a_source_that_no_other_stands_in_for_leaves_nothing_behind(
    root: Path, lungs: ModelPackage, tmp_path: Path
) -> None:
    rules = config_of(root).classes
    for name, error in (("jsrt", ConfigurationError), ("clinic", DataError)):
        rule = rules[1].model_copy(update={"sources": (name,)})
        config = config_of(root).model_copy(update={"classes": (rules[0], rule)})
        with pytest.raises(error, match=name):
            build_of(root, config, tmp_path / "study", lungs)
        assert list(tmp_path.iterdir()) == []


def test_data_of_one_s_own_takes_part(root: Path, lungs: ModelPackage, tmp_path: Path) -> None:
    (tmp_path / "clinic" / "films").mkdir(parents=True)
    for index in range(3):
        film = (root / "nih-chestxray14" / "images" / f"{index + 4:08d}_000.png").read_bytes()
        (tmp_path / "clinic" / "films" / f"{index}.png").write_bytes(film)
    lines = ["File;Who;What;Scanner", "0.png;a;TB;007", "1.png;b;none;", "2.png;c;TB;8"]
    (tmp_path / "clinic" / "list.csv").write_text("\n".join(lines) + "\n")
    own = {"name": "clinic", "kind": "table", "table": "list.csv"}
    own |= {"columns": {"image": "File", "patient_id": "Who", "diagnosis": "What"}}
    study = {"name": "own", "own": [own], "classes": [{"name": "tb", "sources": ["clinic"], "diagnoses": ["tb"]}]}
    study |= {"criteria": [{"kind": "diagnosis"}, {"kind": "lungs", "min_area_px": 1000}]}
    config = StudyConfig.model_validate(study)
    build_of(tmp_path, config, tmp_path / "study", lungs)
    found = load_study(tmp_path / "study").table
    assert list(found["path"]) == ["clinic/films/0.png", "clinic/films/2.png"]
    assert list(found["group_id"]) == ["clinic-a", "clinic-c"]
    assert list(found.columns) == [*COLUMNS, "label", "opacity", "scanner"]
    assert list(found["scanner"]) == ["007", "8"]


def films_before_2019(root: Path) -> Path:
    """Three films of NIH, one of a child and one read again; one of OpenIST; one of Kermany's children."""
    nih = [f"{number:08d}_000" for number in range(3)]
    names = [f"nih-chestxray14/images/{name}.png" for name in nih]
    names += ["openist/images/1-10-500-500-100.png", "kermany-v7/images/person1_virus_6.png"]
    names.append("kermany-v7/masks/person1_virus_6.png")
    for seed, name in enumerate(names):
        save_png(chest(seed, 96)[0], root / name)
    header = "Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position"
    text(
        root / "nih-chestxray14" / "Data_Entry_2017_v2020.csv",
        header,
        *(f"{name}.png,Pneumonia,{name[:8]},{age},F,AP" for name, age in zip(nih, (50, 60, 7), strict=True)),
    )
    text(root / "nih-chestxray14" / "rsna-classes.csv", "Image Index,rsna class", f"{nih[0]}.png,Normal")
    return root


def test_films_before_2019_are_one_class_with_nih_read_again_and_children_apart(
    lungs: ModelPackage, tmp_path: Path
) -> None:
    root = films_before_2019(tmp_path / "data")
    config = load_config("before-2019").study
    assert config is not None
    apart = [criterion for criterion in config.criteria if criterion.kind != "duplicates"]  # phantoms are alike
    out = build_of(root, config.model_copy(update={"criteria": tuple(apart)}), tmp_path / "study", lungs)
    found = load_study(out).table
    assert set(found["class"]) == {"not covid"}
    told = found.loc[found["source"] == "nih-chestxray14", ["diagnosis", "mined_diagnosis"]].astype(object).fillna("")
    assert told.to_numpy().tolist() == [["Normal", "Pneumonia"], ["Pneumonia", ""]]
    assert dict(found["source"].value_counts()) == {"nih-chestxray14": 2, "openist": 1, "kermany-v7": 1}
    dropped = pd.read_csv(out / "dropped.csv")
    assert dropped[["source", "reason"]].to_numpy().tolist() == [["nih-chestxray14", "age 7"]]


def test_a_rule_that_fits_no_film_is_one_sentence_with_what_there_is(
    root: Path, lungs: ModelPackage, tmp_path: Path
) -> None:
    rule = {"name": "covid", "sources": ["covid-chestxray-dataset"], "diagnoses": ["COVID19"]}
    config = StudyConfig.model_validate({"name": "t", "classes": [rule], "criteria": [{"kind": "diagnosis"}]})
    with pytest.raises(DataError) as caught:
        build_of(root, config, tmp_path / "study", lungs)
    assert str(caught.value) == (
        "no film of class covid is left; of 36 films went 36 at 1 diagnosis. covid-chestxray-dataset has diagnoses "
        "COVID-19 (24), Klebsiella (12) and labels covid (24), pneumonia (12). The class rules want covid: COVID19. "
        'class covid: no film of covid-chestxray-dataset has "COVID19" among its diagnoses; did you mean "COVID-19"?'
    )


def test_two_at_once_are_refused(root: Path, lungs: ModelPackage, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".study.lock"), pytest.raises(OutputError, match="another curate is at work"):
        build(root, tmp_path / "study", lungs)


def test_a_killed_run_goes_on_and_ends_the_same(root: Path, study: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    command = [sys.executable, "-m", "lunglens", "curate", "--data", str(root)]
    command += ["--config", str(root / "study.toml"), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = tmp_path / "study.partial" / films.JOURNAL
    deadline = time.monotonic() + 60
    while not (journal.exists() and journal.read_text().count("\n") >= 3):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    with journal.open("a") as stream:
        stream.write('{"image_id": "cut sh')  # as a kill in the middle of a line leaves it
    done = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "study.partial" / "films").iterdir()}
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert contents(out) == contents(study)
    journalled = [path for path in (out / "films").iterdir() if path.stat().st_mtime_ns == done.get(path.name)]
    assert len(journalled) >= 2  # not made again


def test_a_full_disk_leaves_no_study_and_says_so(
    root: Path, study: Path, lungs: ModelPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = films.save_png

    def full(pixels: np.ndarray, target: Path) -> None:
        if len(list((tmp_path / "study.partial" / "films").iterdir())) >= 5:
            raise OSError(28, os.strerror(28))
        real(pixels, target)

    monkeypatch.setattr(films, "save_png", full)
    with pytest.raises(OutputError, match="No space left on device"):
        build(root, tmp_path / "study", lungs)
    assert not (tmp_path / "study").exists()
    with pytest.raises(DataError, match="no finished study"):
        load_study(tmp_path / "study.partial")
    monkeypatch.setattr(films, "save_png", real)
    assert contents(build(root, tmp_path / "study", lungs)) == contents(study)


def test_no_film_left_is_an_error_that_says_where_they_went(root: Path, lungs: ModelPackage, tmp_path: Path) -> None:
    config = config_of(root)
    strict = [c.model_copy(update={"min_area_px": 300000}) if c.kind == "lungs" else c for c in config.criteria]
    with pytest.raises(DataError, match=r"no film of class covid.* is left; of 60 films went .* at 7 lungs"):
        config = config.model_copy(update={"criteria": tuple(strict)})
        build_of(root, config, tmp_path / "study", lungs)


def test_folds_of_a_study_are_written_beside_it(study: Path) -> None:
    found = load_study(study)
    # The phantoms are so alike that the duplicates tie them all.
    table = found.table.assign(group_id=found.table["source"] + found.table["patient_id"])
    counts, leaks = write_folds(replace(found, table=table), FoldSettings(folds=3))
    written = pd.read_csv(study / "folds.csv", dtype=str)
    assert len(written) == len(table)
    assert counts["groups"].sum() == written["group_id"].nunique()
    about = json.loads((study / "folds.json").read_text())
    assert about["split_by_image"] == leaks.model_dump()
    for name in ("folds.csv", "folds.json"):
        (study / name).unlink()


def test_a_black_border_is_measured_at_its_widest() -> None:
    film = np.zeros((20, 30), np.float32)
    film[2:18, 5:29] = 0.5
    assert border_width(film) == 5
    assert border_width(np.ones((4, 4), np.float32)) == 0
    assert border_width(np.zeros((4, 9), np.float32)) == 9
