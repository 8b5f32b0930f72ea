"""A folder of one's own films as a study without a configuration."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lunglens.cli.main import app
from lunglens.errors import ConfigurationError, DataError
from lunglens.study.folder import load_study
from lunglens.study.own_study import study_of_folder
from tests.support.dicom_files import dataset_of, encoded
from tests.support.phantom import chest, save_png
from tests.support.published import files, text


def test_a_folder_a_class_is_a_study_in_one_command(tmp_path: Path) -> None:
    for index in range(4):
        film, _ = chest(index, 96, opacities=index)
        save_png(film, tmp_path / "films" / ("Normal", "Fibrosis")[index % 2] / f"{index}.png")
    out = tmp_path / "study"
    done = CliRunner().invoke(app, ["curate", "--own", str(tmp_path / "films"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    study = load_study(out)
    assert (study.name, study.classes) == ("films", ["Fibrosis", "Normal"])
    (tmp_path / "films" / "exclude.csv").write_text("image,reason\n0.png,marker\n")
    assert "exclusion-list" in [criterion.kind for criterion in study_of_folder(tmp_path / "films").criteria]
    assert set(study.table["path"]) <= {f"films/{name}/{i}.png" for i in range(4) for name in study.classes}


def test_a_table_or_dicom_files_make_classes_of_their_diagnoses(tmp_path: Path) -> None:
    files(tmp_path / "t" / "a.png", tmp_path / "t" / "b.png")
    text(tmp_path / "t" / "films.csv", "File|Label", "a.png|normal", "b.png|TB")
    found = study_of_folder(tmp_path / "t")
    assert (found.own[0].kind, found.own[0].table, found.class_names) == ("table", "films.csv", ["TB", "normal"])
    for index in range(2):
        path = tmp_path / "d" / f"IM{index}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded(dataset_of(chest(index, 16)[0] > 1, 8, PatientID=str(index)), True))
    text(tmp_path / "d" / "labels.csv", "PatientID;Finding", "0;healthy", "1;TB")
    found = study_of_folder(tmp_path / "d")
    assert (found.own[0].kind, found.class_names) == ("dicom-folder", ["TB", "healthy"])


def test_a_folder_of_one_class_or_none_is_told(tmp_path: Path) -> None:
    files(tmp_path / "one" / "a" / "1.png")
    with pytest.raises(ConfigurationError, match=r"1 diagnoses \(a \(1\)\), a study of a folder needs 2 to 20"):
        study_of_folder(tmp_path / "one")
    with pytest.raises(DataError, match="no images in folders a class"):
        files(tmp_path / "none" / "1.png")
        study_of_folder(tmp_path / "none")


@pytest.mark.parametrize("options", [[], ["--config", "paper"], ["--own", "x", "--seed", "1"]])
def test_data_come_from_a_configuration_or_from_a_folder(tmp_path: Path, options: list[str]) -> None:
    done = CliRunner().invoke(app, ["curate", "--out", str(tmp_path / "s"), *options], env={"LUNGLENS_DATA": ""})
    assert done.exit_code == 2
    assert "give --data and --config" in done.output
