"""A newcomer's way: folders of films, a folder a class -> study -> folds -> cross-validation -> package -> answers.

Nothing says COVID that way, whatever the classes are.
"""

import io
import json
import zipfile
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pandas as pd
import pydicom
import pytest
from scipy import ndimage
from typer.testing import CliRunner

from lunglens.cli.main import app
from lunglens.film.model_package.package import load_package, verify_package
from lunglens.film.radiograph import read_radiograph
from tests.phantom import save_png
from tests.serving import server

TEXTS = {".json", ".csv", ".md", ".txt", ".html", ".svg", ".toml", ".jsonl", ".yaml"}


def run(*command: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in command])
    assert result.exit_code == code, (command, result.output, result.exception)
    return result.output


def films_of(chest: Path, folder: Path, classes: tuple[str, ...], count: int) -> None:
    """Copies of one real film, each of its own brightness, place and noise; a class has its own number of opacities."""
    pixels = read_radiograph(chest).pixels
    generator = np.random.default_rng(0)
    height, width = pixels.shape
    y, x = np.mgrid[0:height, 0:width]
    for number, name in enumerate(classes):
        for index in range(count):
            film = ndimage.shift(pixels, generator.uniform(-6, 6, 2), order=1, mode="nearest")
            for side in ((0.3, 0.7), (), (0.3,))[number]:
                middle = generator.normal((0.35 * height, side * width), 6)
                film = film + 0.25 * np.exp(-((y - middle[0]) ** 2 + (x - middle[1]) ** 2) / (0.002 * height * width))
            film = film ** generator.uniform(0.9, 1.1) + generator.normal(0, 0.01, film.shape)
            save_png(np.clip(film, 0, 1), folder / name / f"{index:02d}.png")


def workbench(root: Path, classes: tuple[str, ...], source: str) -> Path:
    """From `root/data/<source>/<class>/` to `root/package`, by the command line; returns the package."""
    rules = "".join(
        f'[[study.classes]]\nname = "{name}"\nsources = ["{source}"]\ndiagnoses = ["{name}"]\n' for name in classes
    )
    own = f'[[study.own]]\nname = "{source}"\nkind = "class-folders"\n'
    (root / "mine.toml").write_text(f'[study]\nname = "mine"\n{own}{rules}[[study.criteria]]\nkind = "diagnosis"\n')
    study, crossed, package = (root / name for name in ("study", "crossval", "package"))
    run("curate", "--data", root / "data", "--config", root / "mine.toml", "--out", study)
    run("folds", study, "--folds", 2, "--missing-patient", "one-film-one-patient")
    quick = ["--config", "quick", "--set", "classifier.backbone=resnet18", "--seed", 1]
    quick += ["--set", "classifier.optimization.epochs=1", "--set", "classifier.view.film_size=512"]
    run("crossval", "classifier", study, *quick, "--out", crossed, "--jobs", 2)
    run("report", study, "--run", crossed)
    run("export", crossed, "--ensemble", "--out", package)
    assert verify_package(load_package(package, "classification")) == []
    return package


def assert_covid_nowhere(root: Path) -> None:
    texts = [path for path in root.rglob("*") if path.suffix in TEXTS and "data" not in path.relative_to(root).parts]
    assert len(texts) > 20
    guilty = [path for path in texts if "covid" in path.read_text(errors="replace").lower()]
    assert not guilty, guilty


def in_the_reading_room(package: Path, film: Path, classes: tuple[str, ...], folder: Path) -> None:
    """The same package on a real server: the page, a film's answer, and the text of its DICOM objects."""
    folder.mkdir()
    with (
        server(folder, classifier=str(package)) as running,
        httpx.Client(base_url=running.url, timeout=120) as client,
    ):
        answer = client.post("/api/analyses?wait=60", files=[("files", (film.name, film.read_bytes()))])
        (found,) = answer.json()["analyses"]
        assert found["result"]["decision"] in classes
        archive = zipfile.ZipFile(io.BytesIO(client.get(f"/api/analyses/{found['id']}/dicom.zip").content))
        objects = [pydicom.dcmread(io.BytesIO(archive.read(name)), force=True) for name in archive.namelist()]
        about = json.dumps(client.get("/api/about").json()["classifier"])  # the other models' cards name their data
        texts = [answer.text, client.get("/").text, about, *map(str, objects)]
        assert classes[0] in about
        assert len(objects) >= 2
        assert not [text for text in texts if "covid" in text.lower()]


@pytest.mark.slow
@pytest.mark.parametrize("classes", [("tuberculosis", "normal"), ("tuberculosis", "normal", "pneumonia")])
def test_own_films_become_a_model_that_answers_in_their_classes(
    chest_png: Path, rg_folder: Path, tmp_path: Path, classes: tuple[str, ...]
) -> None:
    films_of(chest_png, tmp_path / "data" / "clinic", classes, 8)
    package = workbench(tmp_path, classes, "clinic")
    assert " or ".join(classes) in (package / "README.md").read_text()
    films = sorted((tmp_path / "data" / "clinic").rglob("0[01].png"))
    run("analyze", *films, "--classifier", package, "--report", "--out", tmp_path / "answers")
    summary = pd.read_csv(tmp_path / "answers" / "summary.csv")
    assert set(summary["status"]) == {"analyzed"}
    assert set(summary["decision"]) <= set(classes)
    columns = [f"p_{name}" for name in classes]
    assert np.allclose(summary[columns].sum(axis=1), 1, atol=1e-4)
    # What the analysis of a file answers is what the package answers on the study's film.
    run("measure", package, tmp_path / "study", "--out", tmp_path / "measured")
    manifest = pd.read_csv(tmp_path / "study" / "manifest.csv")
    measured = pd.read_csv(tmp_path / "measured" / "predictions.csv").merge(manifest[["image_id", "path"]])
    both = measured.assign(path=[str(tmp_path / "data" / path) for path in measured["path"]]).merge(
        summary, on="path", suffixes=("", "_analyzed")
    )
    assert len(both) == len(films)
    assert np.allclose(both[columns], both[[f"{name}_analyzed" for name in columns]], atol=1e-4)
    run("predict", package, *films, "--out", tmp_path / "numbers.csv")
    numbers = pd.read_csv(tmp_path / "numbers.csv").merge(summary, on="path", suffixes=("", "_analyzed"))
    assert np.allclose(numbers[columns], numbers[[f"{name}_analyzed" for name in columns]], atol=1e-4)
    assert_covid_nowhere(tmp_path)
    in_the_reading_room(package, rg_folder / "RG1_UNCR.dcm", classes, tmp_path / "served")


@pytest.mark.slow
@pytest.mark.data
def test_montgomery_as_class_folders(real_data: Path, tmp_path: Path) -> None:
    """The tutorial of the docs, on 40 real films."""
    for path in sorted((real_data / "montgomery" / "CXR_png").iterdir()):
        name = ("normal", "tuberculosis")[int(path.stem[-1])]
        folder = tmp_path / "data" / "clinic" / name
        folder.mkdir(parents=True, exist_ok=True)
        if len(list(folder.iterdir())) < 20:
            (folder / path.name).write_bytes(path.read_bytes())
    classes = ("tuberculosis", "normal")
    package = workbench(tmp_path, classes, "clinic")
    films = sorted((tmp_path / "data" / "clinic" / "tuberculosis").iterdir())[:3]
    run("analyze", *films, "--classifier", package, "--out", tmp_path / "answers")
    found = [json.loads(path.read_text()) for path in (tmp_path / "answers").rglob("finding.json")]
    assert {one["decision"] for one in found} <= set(classes)
    assert_covid_nowhere(tmp_path)
