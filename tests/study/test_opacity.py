"""What the data sets tell of opacity in the lungs."""

from pathlib import Path

import pandas as pd
import pytest

from lunglens.errors import DataError
from lunglens.study.folder import load_study
from lunglens.study.opacity import opacity_column, opacity_of
from tests.support.study_folder import study_folder


def test_labels_tell_it_and_radiologists_know_better_than_mined_reports() -> None:
    rows = [
        ("hannover", "covid", None, "1"),
        ("montgomery", "normal", None, "0"),
        ("montgomery", "tuberculosis", None, ""),
        ("covid-chestxray-dataset", "pneumonia", None, "1"),
        ("nih-chestxray14", "pneumonia", None, ""),
        ("nih-chestxray14", "pneumonia", "Lung Opacity", "1"),
        ("nih-chestxray14", "pneumonia", "No Lung Opacity / Not Normal", "0"),
        ("nih-chestxray14", "normal", "Lung Opacity", "1"),
        ("nih-chestxray14", None, None, ""),
    ]
    table = pd.DataFrame(rows, columns=["source", "label", "radiologists", "wanted"])
    assert opacity_column(table).tolist() == table["wanted"].tolist()
    assert opacity_column(table.drop(columns="radiologists")).tolist()[:5] == table["wanted"].tolist()[:5]


def test_a_study_that_does_not_tell_it_teaches_none(tmp_path: Path) -> None:
    folder = study_folder(tmp_path / "study", 2)
    with pytest.raises(DataError, match="does not tell opacity"):
        opacity_of(load_study(folder))
    table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
    table.assign(opacity="1").to_csv(folder / "manifest.csv", index=False)
    with pytest.raises(DataError, match="no film has the opacity 0"):
        opacity_of(load_study(folder))
    table.assign(opacity=["1", "0", "", ""]).to_csv(folder / "manifest.csv", index=False)
    assert opacity_of(load_study(folder)).tolist() == ["1", "0", "", ""]
