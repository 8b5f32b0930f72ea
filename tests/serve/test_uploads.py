"""Uploads are told apart by the same table as files on the command line."""

import io
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from lunglens.film.batch import find_films
from lunglens.serve.settings import ServeSettings
from lunglens.serve.uploads import Received, take
from tests.film.test_find_films import DICOMDIR
from tests.film.test_kinds import OTHERS, bare, big_tiff
from tests.support.dicom_files import dataset_of, encoded, gradient
from tests.support.pictures import GRAY, picture

FILMS = {
    "whole": encoded(dataset_of(gradient())),
    "without preamble": encoded(dataset_of(gradient()))[132:],
    "implicit": bare(True, True),
    "explicit": bare(False, True),
    "big endian": bare(False, False),
    "PNG": picture(Image.fromarray(GRAY), "PNG"),
    "JPEG": picture(Image.fromarray(GRAY), "JPEG"),
    "TIFF": picture(Image.fromarray(GRAY), "TIFF"),
    "BigTIFF": big_tiff("II"),
    "BigTIFF, big endian": big_tiff("MM"),
}


def taken(tmp_path: Path, content: bytes, name: str = "1.2.840.5") -> Received:
    folders = iter(range(100))

    def new_folder() -> Path:
        folder = tmp_path / f"upload-{next(folders)}"
        folder.mkdir()
        return folder

    service: Any = SimpleNamespace(settings=ServeSettings(), new_folder=new_folder)
    received = Received()
    take(io.BytesIO(content), name, service, received)
    return received


@pytest.mark.parametrize("kind", FILMS)
def test_what_the_command_line_takes_the_page_takes(kind: str, tmp_path: Path) -> None:
    received = taken(tmp_path, FILMS[kind])
    assert (len(received.films), received.problems) == (1, [])
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "1.2.840.5").write_bytes(FILMS[kind])
    assert len(find_films([tmp_path / "folder"])) == 1


@pytest.mark.parametrize(
    "content",
    [data for why, many in OTHERS.items() for data in many if why != "archive"] + [DICOMDIR],
    ids=lambda data: repr(data[:12]),
)
def test_what_the_command_line_passes_over_the_page_does_not_take(content: bytes, tmp_path: Path) -> None:
    received = taken(tmp_path, content, "film.dcm")
    assert received.films == []
    ((label, reason),) = received.problems
    assert label == "film.dcm"
    assert reason.startswith(("it is no DICOM, PNG, JPEG, TIFF or ZIP file", "the file is empty"))
    assert list(tmp_path.iterdir()) == []


def test_an_archive_of_films_named_by_uid_with_a_dicomdir(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("DICOMDIR", DICOMDIR)
        archive.writestr("index", DICOMDIR)
        archive.writestr("1.2.3", FILMS["whole"])
        archive.writestr("1.2.4", FILMS["implicit"])
    received = taken(tmp_path, stream.getvalue())
    assert [label for _, label, _ in received.films] == ["1.2.3", "1.2.4"]
    assert received.problems == [("index", "it is no DICOM, PNG, JPEG, TIFF or ZIP file: DICOMDIR")]
