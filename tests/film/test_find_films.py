"""Which files of a folder are films, and what is said of the others."""

import os
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import uid

from lunglens.errors import LungLensError
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch import AnalysisWriter, LungsWriter, find_films, run_batch
from lunglens.film.dicom import DICOM_FILES
from tests.support.command import run_cli, summary
from tests.support.dicom_files import dataset_of, encoded, gradient
from tests.support.pictures import GRAY, picture

FILM = encoded(dataset_of(gradient()))
DIRECTORY = dataset_of(gradient(), SOPClassUID=uid.MediaStorageDirectoryStorage)
DIRECTORY.file_meta.MediaStorageSOPClassUID = uid.MediaStorageDirectoryStorage
DICOMDIR = encoded(DIRECTORY)


def found_in(*folders: Path) -> tuple[list[str], dict[str, str]]:
    """Names of the films, in their order, and file name -> why it was passed over."""
    skipped: dict[str, str] = {}
    films = find_films(folders, lambda path, why: skipped.update({Path(path).name: why}))
    return [film.name for film in films], skipped


NAMES = [
    "1.2.826.0.1.3680043.8.498.1002",
    "CR.1.2.826.0.1.3680043.8.498.1001",
    "IM0001",
    "film.001",
    "film.dc3",
    "film.acr",
    "film.DCM",
    "film.img",
    "film.txt",
    "film.png",
    "film.zip",
    "film with blanks",
    "Thumbs.db",
    "DICOMDIR.bak",
    "-v",
    "日本.dcm",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("start", [0, 132], ids=["whole", "without preamble"])
def test_a_dicom_film_is_found_whatever_its_name(name: str, start: int, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILM[start:])
    assert found_in(tmp_path) == ([name], {})


@pytest.mark.parametrize("name", ["a.jpe", "a.jfif", "a.JPG", "a", "a.001", "a.dcm", "a.txt"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_a_picture_is_found_whatever_its_name(name: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(picture(Image.fromarray(GRAY), kind))
    assert found_in(tmp_path) == ([name], {})


def test_what_is_passed_over_and_why(tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(FILM)
    files = {
        "DICOMDIR": (DICOMDIR, "DICOMDIR"),
        "index.dcm": (DICOMDIR, "DICOMDIR"),
        "notes.txt": (b"text", "no image"),
        "films.zip": (b"PK\3\4" + bytes(100), "archive"),
        "clip.mp4": (b"\0\0\0\x20ftypisom" + bytes(300), "no image"),
        "nothing": (b"", "empty"),
        "web.webp": (picture(Image.fromarray(GRAY), "WEBP"), "WebP (not read)"),
        "report.pdf": (b"%PDF-1.4", "PDF"),
    }
    for name, (content, _) in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "gone.dcm").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.dcm").symlink_to(tmp_path / "loop.dcm")
    os.mkfifo(tmp_path / "pipe.dcm")
    others = {"gone.dcm": "unreadable", "loop.dcm": "unreadable", "pipe.dcm": "no regular file"}
    assert found_in(tmp_path) == (["film"], {name: why for name, (_, why) in files.items()} | others)


@pytest.mark.parametrize("content", [b"", b"text", bytes(5000), b"PK\3\4" + bytes(100), b"RIFF....WEBPVP8 "])
@pytest.mark.parametrize("name", ["film.dcm", "film.JPG", "film.tiff", "film.acr"])
def test_what_is_called_a_film_is_tried_so_that_damage_is_told(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert found_in(tmp_path) == ([name], {})


def test_a_file_given_by_name_is_always_tried(tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_bytes(DICOMDIR)
    (tmp_path / ".hidden").write_bytes(b"text")
    assert found_in(tmp_path / "DICOMDIR", tmp_path / ".hidden") == (["DICOMDIR", ".hidden"], {})


def test_hidden_files_and_folders_are_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / ".folder").mkdir()
    for name in ("._film.dcm", ".film.dcm", ".folder/film.dcm"):
        (tmp_path / name).write_bytes(FILM)
    assert found_in(tmp_path) == ([], {})


def test_folders_behind_links_are_looked_into_once(tmp_path: Path) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "real" / "deep" / "a").write_bytes(FILM)
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "start" / "again").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "real" / "deep" / "up").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "real" / "self").symlink_to(tmp_path / "real" / "self")
    (tmp_path / "start" / "file").symlink_to(tmp_path / "real" / "deep" / "a")
    films = find_films([tmp_path / "start"])
    assert [str(film.relative_to(tmp_path)) for film in films] == ["start/again/deep/a"]
    assert find_films([tmp_path / "start", tmp_path / "real", tmp_path / "real" / "deep" / "a"]) == films


def test_order_is_that_of_names_and_every_film_comes_once(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a.dcm", "c.dcm", "a/1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(FILM)
    films = [str(film.relative_to(tmp_path)) for film in find_films([tmp_path, tmp_path / "b" / "1", tmp_path])]
    assert films == ["a/1", "a.dcm", "b/1", "b/2", "c.dcm"]


def test_folders_nested_deeper_than_any_path_may_be_long(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("deep", dir_fd=here)
        below = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    (tmp_path / "film").write_bytes(FILM)
    try:
        assert found_in(tmp_path) == (["film"], {"deep": "unreadable"})
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "deep"], check=True)  # shutil.rmtree is recursive


def test_a_path_that_is_not_there_or_too_long_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path / "no", tmp_path / ("x" * 300), tmp_path / "a\x1b[31mb"):
        with pytest.raises(LungLensError, match="not found") as caught:
            find_films([path])
        assert "\x1b" not in str(caught.value)


def test_a_million_files_would_take_under_two_minutes(tmp_path: Path) -> None:
    """Ten thousand, in a hundredth of the time, with room for a busy machine."""
    for number in range(10_000):
        (tmp_path / f"{number}.txt").write_bytes(b"text" * 1000)
    why: Counter[str] = Counter()
    start = time.process_time()
    assert find_films([tmp_path], lambda _, reason: why.update([reason])) == []
    assert time.process_time() - start < 1.2
    assert why == {"no image": 10_000}


def test_results_in_the_folder_of_the_films_are_no_films(
    chest_png: Path, rg_folder: Path, analyzer: Analyzer, tmp_path: Path
) -> None:
    shutil.copy(chest_png, tmp_path / "a.png")
    shutil.copy(rg_folder / "RG1_UNCR.dcm", tmp_path / "b")
    films = find_films([tmp_path])
    for writer in (AnalysisWriter(dicom=True), LungsWriter(), AnalysisWriter()):
        run_batch(films, tmp_path, analyzer, writer, lambda _: None)
        assert find_films([tmp_path]) == films
    results = [path for path in tmp_path.iterdir() if path.suffix in (".png", ".dcm") and path not in films]
    assert len(results) == 2 * 3 + len(DICOM_FILES)  # panel, lungs and region of each film
    for journal in tmp_path.glob(".lunglens*"):  # now they are known by their marks alone
        journal.unlink()
    skipped = found_in(tmp_path)[1]
    assert find_films([tmp_path]) == films
    whys = {name: why for name, why in skipped.items() if Path(name).suffix in (".png", ".dcm")}
    assert len(whys) == len(results)
    assert set(whys.values()) == {"result of LungLens", "DICOM without image"}
    assert find_films(results) == results  # by name they are tried all the same


def test_the_command_line_counts_and_lists_them(chest_png: Path, tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    shutil.copy(chest_png, folder / "1.2.840.1")
    (folder / "DICOMDIR").write_bytes(DICOMDIR)
    for name in ("a.txt", "b\x1b[31m\n.txt"):
        (folder / name).write_text("text")
    done = run_cli("analyze", folder, "--out", tmp_path / "o")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "3 files passed over: 2 no image, 1 DICOMDIR"
    assert [row["result"] for row in summary(tmp_path / "o")] == ["1.2.840.1.json"]
    listed = run_cli("segment", folder, "--out", tmp_path / "o", "--list-skipped").stdout
    lines = [line for line in listed.splitlines() if ": passed over: " in line]
    assert lines == [
        f"{folder}/DICOMDIR: passed over: DICOMDIR",
        f"{folder}/a.txt: passed over: no image",
        f"{folder}/b\\x1b[31m\\n.txt: passed over: no image",
    ]
    (folder / "1.2.840.1").unlink()
    nothing = run_cli("analyze", folder, "--out", tmp_path / "o")
    assert nothing.returncode == 2
    assert "3 files passed over: 2 no image, 1 DICOMDIR" in nothing.stderr


def test_a_film_without_ending_is_analysed_like_its_twin(chest_png: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    pixels = np.asarray(Image.open(chest_png))
    whole = encoded(dataset_of(pixels, 8, BodyPartExamined="CHEST"))
    for name, content in {"a.dcm": whole, "1.2.3": whole, "IM.001": whole[132:]}.items():
        (tmp_path / name).write_bytes(content)
    outcomes = run_batch(find_films([tmp_path]), tmp_path / "out", analyzer, AnalysisWriter(), lambda _: None)
    assert [outcome.status for outcome in outcomes] == ["analyzed"] * 3
    assert len({outcome.probabilities["covid"] for outcome in outcomes}) == 1
