"""DICOM results: they join the film's study, hold what the finding says, and the validator has no errors."""

import io
import json
import shutil
import time
import warnings
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from lunglens.errors import NotAChestRadiographError
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch import AnalysisWriter
from lunglens.film.dicom import DICOM_FILES
from lunglens.film.dicom.objects import NoDicomSourceError, dicom_results, read_source
from lunglens.film.finding import Analyzed
from lunglens.film.lungs.sides import lung_sides
from lunglens.film.radiograph import read_radiograph
from tests.support.dciodvfy import errors_of
from tests.support.findings import covid_answer
from tests.support.phantom import chest, save_png


@pytest.fixture(scope="module")
def film(rg_folder: Path) -> Path:
    return rg_folder / "RG1_UNCR.dcm"


@pytest.fixture(scope="module")
def finding(film: Path, analyzer: Analyzer) -> Analyzed:
    return analyzer.analyze(read_radiograph(film))


@pytest.fixture(scope="module")
def results(film: Path, finding: Analyzed) -> dict[str, pydicom.Dataset]:
    """Written to bytes and read back."""
    files = dicom_results(read_source(film), finding).files()
    return {name: pydicom.dcmread(io.BytesIO(content)) for name, content in files.items()}


def test_they_join_the_film_s_study_and_keep_its_patient(film: Path, results: dict[str, pydicom.Dataset]) -> None:
    source = pydicom.dcmread(film)
    assert sorted(results) == sorted(DICOM_FILES)
    kept = (
        "PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID StudyDate StudyTime AccessionNumber StudyID"
    )
    for dataset in results.values():
        for name in kept.split():
            assert dataset[name].value == source[name].value, name
        assert dataset.SeriesInstanceUID != source.SeriesInstanceUID
        assert dataset.ContentQualification == "RESEARCH"
    assert len({str(dataset.SOPInstanceUID) for dataset in results.values()}) == len(DICOM_FILES)
    assert len({str(dataset.SeriesInstanceUID) for dataset in results.values()}) == len(DICOM_FILES)


def test_the_same_answer_is_the_same_file(film: Path, finding: Analyzed) -> None:
    source = read_source(film)
    first = dicom_results(source, finding).files()
    assert dicom_results(source, finding).files() == first
    time.sleep(1.1)  # no clock is in them
    assert dicom_results(read_source(film), replace(finding, seconds={"lungs": 9.0})).files() == first


def test_another_answer_is_another_instance(film: Path, finding: Analyzed, results: dict[str, pydicom.Dataset]) -> None:
    assert finding.covid_probability is not None
    others = [
        replace(finding, answer=covid_answer(finding.covid_probability + 0.01)),
        replace(finding, warnings=("new",)),
    ]
    for other in others:
        again = dicom_results(read_source(film), other).objects
        assert {str(dataset.SOPInstanceUID) for dataset in again.values()}.isdisjoint(
            str(dataset.SOPInstanceUID) for dataset in results.values()
        )
    source = read_source(film)
    source.PatientName = "Corrected^Name"
    assert dicom_results(source, finding).objects["report.sr"].SOPInstanceUID != results["report.sr.dcm"].SOPInstanceUID


def test_times_are_the_film_s(results: dict[str, pydicom.Dataset]) -> None:
    for dataset in results.values():  # Series Date and Time of RG1
        made = "PresentationCreation" if dataset.Modality == "PR" else "Content"
        assert {dataset[f"{made}Date"].value, dataset.SeriesDate} == {"19950926"}
        assert {dataset[f"{made}Time"].value, dataset.SeriesTime} == {"125130"}
        assert "InstanceCreationDate" not in dataset


def test_the_segments_are_the_lungs_pixel_by_pixel(finding: Analyzed, results: dict[str, pydicom.Dataset]) -> None:
    seg = hd.seg.Segmentation.from_dataset(results["lungs.seg.dcm"])
    source = seg.get_source_image_uids()[0]
    pixels = seg.get_pixels_by_source_instance([source[2]], assert_missing_frames_are_empty=True)[0]
    for number, (mask, label) in enumerate(zip(lung_sides(finding.lungs), ("Left lung", "Right lung"), strict=True)):
        assert seg.get_segment_description(number + 1).segment_label == label
        assert np.array_equal(pixels[..., number] > 0, mask)


def test_the_heat_is_written_in_steps_of_1_255(finding: Analyzed, results: dict[str, pydicom.Dataset]) -> None:
    dataset = results["heat.seg.dcm"]
    assert (dataset.SegmentationType, dataset.MaximumFractionalValue) == ("FRACTIONAL", 255)
    assert np.abs(dataset.pixel_array.astype(float) / 255 - finding.heat).max() <= 0.5 / 255 + 1e-6


def test_a_film_with_spacing_has_areas_in_cm2(film: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(film)
    dataset.PixelSpacing = [0.2, 0.2]
    dataset.save_as(tmp_path / "film.dcm")
    finding = analyzer.analyze(read_radiograph(tmp_path / "film.dcm"))
    found = dicom_results(read_source(tmp_path / "film.dcm"), finding).objects
    assert finding.left is not None and finding.left.area_cm2 is not None
    assert f"{finding.left.area_cm2:.2f}" in str(found["report.sr"])


def test_a_refused_film_has_a_report_and_a_panel(film: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(film)
    noise = np.random.default_rng(0).integers(0, 2**15, (dataset.Rows, dataset.Columns), dtype=np.uint16)
    dataset.PixelData = noise.tobytes()
    dataset.save_as(tmp_path / "noise.dcm")
    finding = analyzer.analyze(read_radiograph(tmp_path / "noise.dcm"))
    assert finding.status == "refused"
    found = dicom_results(read_source(tmp_path / "noise.dcm"), finding).objects
    assert sorted(found) == ["panel.sc", "report.sr"]


@pytest.mark.parametrize(
    "odd",
    [
        {"PatientBirthDate": "19600000", "PatientSex": "male", "StudyTime": "99:99"},
        {"PatientBirthDate": "01.02.1960", "StudyDate": "20200230"},
        {"SpecificCharacterSet": ["", "ISO 2022 IR 87"]},
        dict.fromkeys(["PatientID", "PatientName", "PatientBirthDate", "AccessionNumber", "StudyID", "StudyDate"]),
    ],
    ids=["bad date", "written date", "charset", "missing"],
)
def test_odd_headers_do_not_stop_the_results(
    film: Path, finding: Analyzed, tmp_path: Path, odd: dict[str, str | list[str] | None]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(film)
        for name, value in odd.items():
            if value is None:
                del dataset[name]
            else:
                setattr(dataset, name, value)
        dataset.save_as(tmp_path / "film.dcm")
    files = dicom_results(read_source(tmp_path / "film.dcm"), finding).files()
    assert set(files) == set(DICOM_FILES)
    if shutil.which("dciodvfy") is not None:
        assert not [line for content in files.values() for line in errors_of(content, tmp_path)]


def test_a_header_that_cannot_be_used_is_one_film_s_problem(film: Path, finding: Analyzed) -> None:
    source = read_source(film)
    del source.StudyInstanceUID
    with pytest.raises(NoDicomSourceError, match="cannot be used"):
        dicom_results(source, finding)


def test_a_film_that_its_header_refuses_leaves_a_report_without_the_file_s_name(
    film: Path, analyzer: Analyzer, tmp_path: Path
) -> None:
    dataset = pydicom.dcmread(film)
    dataset.Modality = "CT"
    path = tmp_path / "Doe^Jane.dcm"
    dataset.save_as(path)
    with pytest.raises(NotAChestRadiographError):
        AnalysisWriter(dicom=True).write(path, tmp_path / "ct", analyzer)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["Doe^Jane.dcm", "ct.report.sr.dcm"]
    said = (tmp_path / "ct.report.sr.dcm").read_bytes()
    assert b"refused-modality" in said
    assert b"its header says modality CT" in said
    assert b"Doe^Jane" not in said
    assert b"COVID" not in said


def test_the_batch_writes_them_and_says_why_not(film: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    done = AnalysisWriter(dicom=True).write(film, tmp_path / "rg1", analyzer)
    assert (done.status, done.reason) == ("analyzed", None)
    assert {path.name for path in tmp_path.glob("rg1.*.dcm")} == {f"rg1.{name}" for name in DICOM_FILES}
    png = save_png(chest(1)[0], tmp_path / "chest.png")
    done = AnalysisWriter(dicom=True).write(png, tmp_path / "chest", analyzer)
    assert "no DICOM" in (done.reason or "")
    assert json.loads((tmp_path / "chest.json").read_text())["status"] == done.status
    assert not list(tmp_path.glob("chest.*.dcm"))


def test_a_film_without_identifiers_is_said_to_have_none(film: Path, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(film)
    del dataset.StudyInstanceUID
    dataset.save_as(tmp_path / "film.dcm")
    with pytest.raises(NoDicomSourceError, match="StudyInstanceUID"):
        read_source(tmp_path / "film.dcm")
