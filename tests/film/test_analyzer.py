"""The analysis with the models that ship: the real RG1 film, and what must be refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lunglens
from lunglens.errors import NotAChestRadiographError
from lunglens.film.analyzer import Analyzer
from lunglens.film.model_package.package import load_package, shipped_models, verify_package
from lunglens.film.preprocess import resize
from lunglens.film.radiograph import radiograph_from_array, read_radiograph


@pytest.mark.parametrize("name", ["lungs", "classifier", "hrnet", "orientation", "severity"])
def test_shipped_models_verify_and_have_cards(name: str) -> None:
    folder = shipped_models() / name
    assert verify_package(load_package(folder)) == []
    card = (folder / "README.md").read_text()
    for heading in ("Intended use", "Training data", "Licence", "Measured"):
        assert heading in card


def test_rg1_is_analyzed(analyzer: Analyzer, rg_folder: Path) -> None:
    finding = analyzer.analyze(read_radiograph(rg_folder / "RG1_UNCR.dcm"))
    assert finding.status == "analyzed"
    assert finding.covid_probability is not None
    assert 0 <= finding.covid_probability <= 1
    assert finding.lungs.shape == finding.heat.shape == finding.radiograph.pixels.shape
    assert 0.15 < finding.lungs.mean() < 0.5
    assert finding.left.area_cm2 is None  # its header gives a pixel spacing of zero
    assert finding.left.area_px == pytest.approx(finding.left.share * 1955 * 1841, abs=1)
    assert finding.to_dict()["gate"]["accepted"] is True


def test_the_four_encodings_of_rg1_get_one_answer(analyzer: Analyzer, rg_folder: Path) -> None:
    names = ("RG1_UNCR", "RG1_UNCI", "RG1_J2KR", "RG1_J2KI")
    answers = [analyzer.analyze(read_radiograph(rg_folder / f"{name}.dcm")).covid_probability for name in names]
    assert answers[0] == answers[2]
    assert max(answers) - min(answers) < 0.1  # type: ignore[type-var,operator]


def test_an_array_is_analyzed_like_its_file(chest_png: Path) -> None:
    film = read_radiograph(chest_png)
    from_file, from_array = lunglens.analyze(chest_png), lunglens.analyze(film.pixels)
    assert from_file.covid_probability == pytest.approx(from_array.covid_probability, abs=1e-6)


def test_areas_in_cm2_where_the_spacing_is_known(chest_png: Path) -> None:
    finding = lunglens.analyze(read_radiograph(chest_png).pixels, spacing_mm=(0.7, 0.8))
    assert finding.left.area_cm2 == pytest.approx(finding.left.area_px * 0.7 * 0.8 / 100)


def test_inverted_polarity_is_corrected_and_said(analyzer: Analyzer, chest_png: Path) -> None:
    film = read_radiograph(chest_png)
    straight, turned = analyzer.analyze(film), analyzer.analyze(radiograph_from_array(1 - film.pixels))
    assert not straight.inverted
    assert turned.inverted
    assert any("polarity" in warning for warning in turned.warnings)
    assert turned.covid_probability == pytest.approx(straight.covid_probability, abs=0.02)


def photograph() -> np.ndarray:
    from sklearn.datasets import load_sample_image

    return load_sample_image("china.jpg").mean(axis=2) / 255


REFUSED = {
    "blank": lambda: np.full((512, 512), 0.5),
    "noise": lambda: np.random.default_rng(0).random((512, 512)),
    "ramp": lambda: np.tile(np.linspace(0, 1, 512), (512, 1)),
    "photograph": photograph,
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_chest_is_refused(analyzer: Analyzer, kind: str) -> None:
    finding = analyzer.analyze(radiograph_from_array(REFUSED[kind]()))
    assert finding.status == "refused"
    assert finding.reason
    assert finding.covid_probability is None
    assert finding.to_dict()["covid_probability"] is None


@pytest.mark.parametrize("name", ["RG3_UNCR.dcm", "RG3_J2KI.dcm"])
def test_the_leg_is_refused_even_without_its_header(analyzer: Analyzer, rg_folder: Path, name: str) -> None:
    try:
        film = read_radiograph(rg_folder / name)
    except NotAChestRadiographError:
        from pydicom import dcmread

        dataset = dcmread(rg_folder / name)
        film = radiograph_from_array(dataset.pixel_array.astype(float))
    assert analyzer.analyze(film).status == "refused"


def test_a_ct_slice_of_the_test_files_is_refused(rg_folder: Path) -> None:
    from pydicom.data import get_testdata_file

    with pytest.raises(NotAChestRadiographError, match="CT"):
        read_radiograph(Path(str(get_testdata_file("CT_small.dcm"))))


def test_resolution_hardly_changes_the_answer(analyzer: Analyzer, rg_folder: Path) -> None:
    film = read_radiograph(rg_folder / "RG1_UNCR.dcm")
    full = analyzer.analyze(film).covid_probability
    half = analyzer.analyze(radiograph_from_array(resize(film.pixels, 977, 920))).covid_probability
    assert half == pytest.approx(full, abs=0.1)


def test_analysis_needs_no_torch(chest_png: Path) -> None:
    program = (
        "import sys, lunglens; lunglens.analyze(sys.argv[1]); "
        "print(sorted({'torch', 'timm', 'pandas', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(chest_png)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_socket_is_opened(chest_png: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", forbidden)
    assert lunglens.analyze(chest_png).status == "analyzed"


@pytest.mark.data
def test_real_films_are_accepted_and_others_refused(analyzer: Analyzer, real_data: Path) -> None:
    """A fixed sample; the whole data is measured by `lunglens evaluate gate`."""
    import pandas as pd

    from lunglens.train.gate.films import gate_films

    table = gate_films(real_data, per_source=12)
    table = pd.concat([rows.sample(min(len(rows), 30), random_state=0) for _, rows in table.groupby("kind")])
    refused = pd.Series(
        [analyzer.analyze(read_radiograph(Path(p))).status == "refused" for p in table["path"]], table.index
    )
    shares = refused.groupby(table["kind"]).mean()
    assert shares["film"] <= 0.07
    assert shares["lateral"] >= 0.8
    assert shares["CT"] >= 0.9
