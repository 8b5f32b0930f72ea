"""Study folders of every format: one of format 1 as version 0.1.0 wrote it (without its pictures), damaged ones."""

import shutil
from pathlib import Path

import pytest

from lunglens.errors import DataError
from lunglens.files import read_record
from lunglens.study.folder import AGAIN, COLUMNS, Begun, load_study, read_steps
from lunglens.study.folds import FoldsRecord, read_folds
from lunglens.study.report.tables import read_tables

FORMAT_1 = Path(__file__).parent / "golden" / "study-1"


def test_a_study_of_format_1_opens_as_one_of_format_2() -> None:
    study = load_study(FORMAT_1)
    assert list(study.table.columns) == COLUMNS
    assert set(study.table["diagnosis"]) == {"COVID-19", "No Finding"}
    assert (study.record.format, study.name, study.classes, study.record.without) == (
        1,
        "phantoms",
        ["covid", "not"],
        (),
    )
    assert sorted(read_folds(study)["fold"]) == ["0", "0", "0", "1", "1"]


def test_its_other_records_are_read_with_the_names_of_today() -> None:
    kinds = ["modality", "view", "age", "diagnosis", "exclusion-list", "duplicates", "lungs", "cap"]
    assert [step.kind for step in read_steps(FORMAT_1)] == ["read", *kinds]
    begun = read_record(FORMAT_1 / "config.json", Begun, AGAIN)
    assert [criterion.kind for criterion in begun.config.criteria] == kinds
    assert begun.config.classes[0].diagnoses == ("COVID-19",)
    assert begun.same(begun.model_copy(update={"format": 2}))
    folds = read_record(FORMAT_1 / "folds.json", FoldsRecord, AGAIN)
    assert (folds.settings.missing_patient, folds.split_by_image.leaking) == ("one-film-one-patient", 1)
    assert dict(read_tables(FORMAT_1).diagnoses.groupby("diagnosis")["n"].sum()) == {
        "COVID-19": 14,
        "Klebsiella": 2,
        "No Finding": 4,
    }


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (
            "study.json",
            '{"format": 3, "name": "x", "classes": [], "fingerprint": ""}',
            "another format than 2",
        ),
        ("study.json", "{", "damaged"),
        ("study.json", '{"format": 1}', "of another format: name"),
        ("manifest.csv", "image_id\n", "another format than 2"),
    ],
)
def test_a_folder_of_another_format_or_damaged_is_told(tmp_path: Path, name: str, content: str, complaint: str) -> None:
    folder = shutil.copytree(FORMAT_1, tmp_path / "study")
    (folder / name).write_text(content)
    with pytest.raises(DataError, match=complaint):
        load_study(folder)


@pytest.mark.parametrize("content", [None, "[", '{"config": {"name": "x"}}'])
def test_a_record_that_is_missing_or_damaged_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=r"config\.json: (not there|damaged|of another).*; make it again with curate"):
        read_record(path, Begun, AGAIN)
