"""The commands of docs/tutorials/own-model.md, as they stand there: from folders of films to a package and its answers.

Nothing says COVID that way, whatever the classes are.
"""

import io
import json
import re
import shlex
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
from lunglens.film.radiograph import read_radiograph
from lunglens.study import own_study
from lunglens.study.config.study import StudyConfig
from lunglens.study.own_study import study_of_folder
from tests.support.phantom import save_png
from tests.support.runs import run_here
from tests.support.serving import server

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorials" / "own-model.md"
SMALL = (
    "--config quick --set classifier.backbone=test_resnet --set classifier.optimization.epochs=1 "
    "--set classifier.view.film_size=512 --seed 1 --jobs 2"
)
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
            save_png(np.clip(film, 0, 1), folder / name / f"MCUCXR_01{index + 1:02d}_1.png")


def commands() -> list[list[str]]:
    """The tutorial's command lines, smaller where it takes hours."""
    blocks = re.findall(r"```sh\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
    return [
        shlex.split(line.replace("--config cpu", SMALL).replace("--folds 5", "--folds 2"))
        for block in blocks
        for line in block.splitlines()
    ]


def follow_tutorial(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """All its commands in `root`, where `films/<class>/` lie; what it serves is tried by `in_the_reading_room`."""
    monkeypatch.chdir(root)
    monkeypatch.setattr("lunglens.cli.train.runner", lambda *_: run_here)  # folds have processes in the tests of jobs
    lines = commands()
    verbs = ["curate", "folds", "crossval", "report", "export", "verify", "analyze", "predict", "serve"]
    assert [verb for _, verb, *_ in lines] == verbs
    for program, verb, *words in lines:
        assert program == "lunglens"
        if verb != "serve":
            run(verb, *words)


def assert_covid_nowhere(root: Path) -> None:
    texts = [path for path in root.rglob("*") if path.suffix in TEXTS]
    assert len(texts) > 20
    guilty = [path for path in texts if "covid" in _words_of(path.read_text(errors="replace"))]
    assert not guilty, guilty


def _words_of(text: str) -> str:
    """In lower case, without pictures: their base64 may spell anything."""
    return re.sub(r"data:image/[^\"')]+", "", text).lower()


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
        assert not [text for text in texts if "covid" in _words_of(text)]


def assert_it_answers(classes: tuple[str, ...]) -> None:
    """What the analysis of a file answers is what the package answers on the study's film, and what predict tells."""
    assert " or ".join(classes) in Path("my-model/README.md").read_text()
    films = [film for folder in Path("films").iterdir() for film in sorted(folder.iterdir())[:2]]
    run("analyze", *films, "--classifier", "my-model", "--report", "--out", "all-answers")
    summary = pd.read_csv("all-answers/summary.csv")
    assert set(summary["status"]) == {"analyzed"}
    assert set(summary["decision"]) <= set(classes)
    columns = [f"p_{name}" for name in classes]
    assert np.allclose(summary[columns].sum(axis=1), 1, atol=1e-4)
    run("measure", "my-model", "study", "--out", "measured")
    measured = pd.read_csv("measured/predictions.csv").merge(pd.read_csv("study/manifest.csv")[["image_id", "path"]])
    for table in (measured, pd.read_csv("answers.csv")):
        both = table.merge(summary, on="path", suffixes=("", "_analyzed"))
        assert len(both) == len(films)
        assert np.allclose(both[columns], both[[f"{name}_analyzed" for name in columns]], atol=1e-4)


def test_own_films_of_three_classes_become_a_model_that_answers_in_them(
    chest_png: Path, rg_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = ("pneumonia", "tuberculosis", "normal")
    films_of(chest_png, tmp_path / "films", classes, 8)
    # The made-up films are copies of one another, and would all but one be left out.
    monkeypatch.setattr(own_study, "study_of_folder", _keeping_copies)
    follow_tutorial(monkeypatch, tmp_path)
    assert_it_answers(classes)
    assert_covid_nowhere(tmp_path)
    in_the_reading_room(tmp_path / "my-model", rg_folder / "RG1_UNCR.dcm", classes, tmp_path / "served")


def _keeping_copies(folder: Path) -> StudyConfig:
    study = study_of_folder(folder)
    return study.model_copy(update={"criteria": tuple(c for c in study.criteria if c.kind != "duplicates")})


@pytest.mark.data
def test_montgomery_as_folders_of_two_classes_does_too(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On 16 real films, all copies of which are left out."""
    classes = ("tuberculosis", "normal")
    for number, name in enumerate(reversed(classes)):
        (tmp_path / "films" / name).mkdir(parents=True)
        pictures = sorted((real_data / "montgomery" / "CXR_png").glob(f"*_{number}.*"))
        for path in pictures[:8]:
            save_png(read_radiograph(path).pixels, tmp_path / "films" / name / f"{path.stem}.png")
    follow_tutorial(monkeypatch, tmp_path)
    found = json.loads(Path("answers/MCUCXR_0108_1.json").read_text())
    assert found["status"] == "analyzed"
    assert found["decision"] in found["probabilities"].keys() == set(classes)
    assert_it_answers(classes)
    assert_covid_nowhere(tmp_path)
