"""Header facts: what is refused by the header alone, what is only doubted, and values that cannot be."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from lunglens.errors import NotAChestRadiographError
from lunglens.film.radiograph import Radiograph, read_radiograph
from lunglens.film.reading.dicom_file import notes_of, parse
from lunglens.film.reading.dicom_header import Header, read_header
from lunglens.film.reading.dicom_kind import refuse_other_kinds
from tests.support.dicom_files import CR_STORAGE, dataset_of, encoded, gradient
from tests.support.pictures import saved

CLASS = "1.2.840.10008.5.1.4.1.1"
DX, DX_RAW, CT, SC = f"{CLASS}.1.1", f"{CLASS}.1.1.1", f"{CLASS}.2", f"{CLASS}.7"
FILM = gradient(800, 700)
SMALL = gradient()


def film_of(folder: Path, pixels: np.ndarray = SMALL, **elements: Any) -> Radiograph:
    return read_radiograph(saved(folder, bytes_of(pixels, **elements), "film.dcm"))


def bytes_of(pixels: np.ndarray = SMALL, **elements: Any) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom says of many values here that they are not allowed
        return encoded(dataset_of(pixels, **elements))


def header_of(pixels: np.ndarray = SMALL, **elements: Any) -> tuple[Header, list[str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = parse(bytes_of(pixels, **elements), 10**8)
        return read_header(dataset), list(notes_of(dataset))


def code(value: str, meaning: str) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return Sequence([item])


# Kinds of image


@pytest.mark.parametrize(
    "modality", ["CT", "MR", "US", "NM", "PT", "OP", "SM", "ES", "SR", "SEG", "KO", "PR", "DOC", "RTSTRUCT"]
)
@pytest.mark.parametrize("sop_class", [CR_STORAGE, SC, "1.2.3"])
def test_what_no_radiograph_can_be_is_refused(modality: str, sop_class: str, tmp_path: Path) -> None:
    with pytest.raises(NotAChestRadiographError, match=f"^film.dcm: its header says modality {modality}"):
        film_of(tmp_path, Modality=modality, SOPClassUID=sop_class)


@pytest.mark.parametrize("modality", [None, "", "OT", "SC", "XYZ"])
@pytest.mark.parametrize(
    ("sop_class", "name"),
    [(CT, "modality CT"), (f"{CLASS}.88.33", "Comprehensive SR"), (f"{CLASS}.128", "modality Positron")],
)
def test_the_sop_class_speaks_where_the_modality_does_not(
    modality: str | None, sop_class: str, name: str, tmp_path: Path
) -> None:
    with pytest.raises(NotAChestRadiographError, match=f"its header says {name}"):
        film_of(tmp_path, Modality=modality, SOPClassUID=sop_class)


@pytest.mark.parametrize("modality", [None, "", "OT", "SC", "HC", "XC", "RF", "XA", "PX", "XYZ"])
@pytest.mark.parametrize("sop_class", [CR_STORAGE, SC, "1.2.3", None])
def test_other_radiography_and_unstated_kinds_are_read_with_a_note(
    modality: str | None, sop_class: str | None, tmp_path: Path
) -> None:
    film = film_of(tmp_path, Modality=modality, SOPClassUID=sop_class)
    assert any(f"modality {modality or 'absent'}" in note for note in film.notes)
    assert (film.doubt, film.warnings) == (None, ())


@pytest.mark.parametrize(
    ("modality", "sop_class", "words"),
    [
        ("MG", CR_STORAGE, "modality as MG"),
        ("IO", CR_STORAGE, "modality as IO"),
        ("RTIMAGE", CR_STORAGE, "modality as RTIMAGE"),
        ("OT", f"{CLASS}.1.2", "kind as Digital Mammography"),
        ("DX", CT, "but the kind as CT Image"),
    ],
)
def test_other_projections_and_contradictions_are_doubted(
    modality: str, sop_class: str, words: str, tmp_path: Path
) -> None:
    film = film_of(tmp_path, Modality=modality, SOPClassUID=sop_class)
    assert film.doubt is not None
    assert words in film.doubt
    assert film.warnings == ()  # the analysis makes one of the doubt, or a reason


@pytest.mark.parametrize(
    "elements",
    [
        {"PresentationIntentType": "FOR PROCESSING"},
        {"PresentationIntentType": "For_Processing "},
        {"SOPClassUID": DX_RAW},
        {"SOPClassUID": DX_RAW, "PresentationIntentType": "FOR PRESENTATION"},
    ],
)
def test_raw_detector_data_are_refused_in_words(elements: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(NotAChestRadiographError, match=r"raw detector data .*Send the FOR PRESENTATION image"):
        film_of(tmp_path, Modality="DX", **elements)
    film_of(tmp_path, Modality="DX", SOPClassUID=DX, PresentationIntentType="FOR PRESENTATION")


@pytest.mark.parametrize("damage", [{"PixelData": None}, {"Rows": None}, {"BitsAllocated": 7}])
def test_the_header_is_judged_before_the_pixels(damage: dict[str, Any], tmp_path: Path) -> None:
    for elements, words in (({"Modality": "CT"}, "modality CT"), ({"NumberOfFrames": 30}, "30 frames")):
        with pytest.raises(NotAChestRadiographError, match=words):
            film_of(tmp_path, **elements, **damage)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1))
def test_a_truncated_ct_is_refused_as_a_ct(part: float) -> None:
    file = bytes_of(Modality="CT")
    start = file.index(b"CS\x02\x00CT") + 6
    kept = file[: start + int(part * (len(file) - start))]
    with pytest.raises(NotAChestRadiographError, match="modality CT"):
        refuse_other_kinds(parse(kept, 10**8))


def test_a_dicomdir_says_what_it_is() -> None:
    dataset = Dataset()
    dataset.file_meta = Dataset()
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    with pytest.raises(NotAChestRadiographError, match="Media Storage Directory"):
        refuse_other_kinds(dataset)


# Body part and view


@pytest.mark.parametrize(
    ("elements", "part"),
    [
        ({}, None),
        ({"BodyPartExamined": "CHEST"}, "CHEST"),
        ({"BodyPartExamined": "T\xd3RAX"}, "TÓRAX"),
        ({"BodyPartExamined": "TÓRAX".encode().decode("latin-1")}, "TÓRAX"),
        ({"BodyPartExamined": "TÓRAX".encode().decode("latin-1"), "SpecificCharacterSet": "ISO_IR 192"}, "TÓRAX"),
        ({"BodyPartExamined": "T\xd3RAX", "SpecificCharacterSet": "ISO_IR 192"}, "TÓRAX"),
        ({"BodyPartExamined": ["ABDOMEN", "CHEST"]}, "ABDOMEN\\CHEST"),
        ({"BodyPartExamined": "UNKNOWN"}, "UNKNOWN"),
        ({"BodyPartExamined": "胸部".encode("gb18030").decode("latin-1"), "SpecificCharacterSet": "GB18030"}, None),
        ({"AnatomicRegionSequence": code("51185008", "Chest")}, "CHEST"),
        ({"AnatomicRegionSequence": code("39607008", "")}, None),
        ({"AnatomicRegionSequence": code("T-D3000", "?")}, "?"),
        ({"BodyPartExamined": "SKULL", "AnatomicRegionSequence": code("816094009", "Thorax")}, "SKULL"),
    ],
)
def test_the_chest_is_known_from_word_or_code(elements: dict[str, Any], part: str | None) -> None:
    header, _ = header_of(**elements)
    assert (header.doubt, header.warnings) == (None, ())
    if part is not None:
        assert header.body_part == part


def test_the_bytes_count_without_preamble_and_value_representations() -> None:
    dataset = dataset_of(SMALL, BodyPartExamined="T\xd3RAX")
    del dataset.file_meta
    bare = encoded(dataset, preamble=False, implicit_vr=True, little_endian=True)
    assert read_header(parse(bare, 10**8)).body_part == "TÓRAX"


@pytest.mark.parametrize("part", ["SKULL", "ABDOMEN", "HAND", "EXTREMITY", "TSPINE", "right KNEE", "腹部"])
def test_another_part_is_a_doubt_not_a_refusal(part: str, tmp_path: Path) -> None:
    film = film_of(tmp_path, BodyPartExamined=part.encode().decode("latin-1"))
    assert film.doubt == f"the header gives the body part as {part.upper()}"
    assert film.warnings == ()  # the analysis makes one of the doubt, or a reason


def test_the_view_from_its_code() -> None:
    header, _ = header_of(ViewCodeSequence=code("399067008", "lateral projection"))
    assert header.view == "LATERAL PROJECTION"
    assert header.doubt is not None
    assert "LATERAL PROJECTION" in header.doubt
    assert header_of(ViewCodeSequence=code("272479007", "postero-anterior"))[0].doubt is None


def test_all_doubts_are_said() -> None:
    header, _ = header_of(BodyPartExamined="HAND", ViewPosition="LL", Modality="MG")
    assert header.doubt is not None
    assert all(word in header.doubt for word in ("HAND", "LL", "MG"))


# Age


@given(st.integers(1, 120), st.sampled_from(["", "Y", "y", " Y"]), st.sampled_from(["", " "]), st.booleans())
def test_years_with_and_without_unit(years: int, unit: str, space: str, padded: bool) -> None:
    header, _ = header_of(PatientAge=space + (f"{years:03d}" if padded else f"{years}") + unit + space)
    assert header.age_years == years
    assert any("under 18" in warning for warning in header.warnings) == (years < 18)


@pytest.mark.parametrize(
    ("age", "years"), [("000D", 0), ("000M", 0), ("000W", 0), ("006M", 0.5), ("18M", 1.5), ("052w", 52 / 52.18)]
)
def test_days_weeks_and_months(age: str, years: float) -> None:
    header, notes = header_of(PatientAge=age)
    assert header.age_years == pytest.approx(years)
    assert "patient under 18: the models were trained on adults" in header.warnings
    assert not any("PatientAge" in note for note in notes)


@given(
    st.one_of(
        st.integers(121, 999).map(lambda years: f"{years}Y"),
        st.sampled_from(
            ["000Y", "000", "0", "0Y", "abc", "-1Y", "Y", "1234Y", "62X", "nan", "1e2", "12.5.Y", "\uff16\uff12Y"]
        ),
    )
)
def test_impossible_ages_are_unknown_with_a_note(age: str) -> None:
    header, notes = header_of(PatientAge=age.encode().decode("latin-1"))
    assert header.age_years is None
    assert header.warnings == ()
    assert "PatientAge is not usable and was ignored" in notes


def test_an_absent_age_is_not_worked_out_from_dates() -> None:
    header, notes = header_of(PatientAge="", PatientBirthDate="20200101", StudyDate="20210101")
    assert header.age_years is None
    assert notes == []


# Pixel spacing


def raw_spacing(**elements: str) -> tuple[Header, list[str]]:
    """Header of FILM with decimal strings as they stand in the file, valid or not."""
    placeholder = "7.77777\\7.77777"
    file = bytes_of(FILM, **dict.fromkeys(elements, placeholder))
    for text in elements.values():
        assert len(text) <= len(placeholder)
        file = file.replace(placeholder.encode(), text.ljust(len(placeholder)).encode(), 1)
    dataset = parse(file, 10**8)
    return read_header(dataset), list(notes_of(dataset))


NO_CM2 = "the header's pixel spacing does not fit a chest film: no areas in cm2"


@given(st.floats(50, 600), st.floats(50, 600))
def test_a_spacing_that_gives_a_films_size_is_taken(height: float, width: float) -> None:
    row, column = (float(f"{side:.5g}") for side in (height * 0.999 / 800 + 1e-3, width * 0.999 / 700 + 1e-3))
    if not (50 < row * 800 < 600 and 50 < column * 700 < 600):
        return
    header, _ = header_of(FILM, PixelSpacing=[row, column])
    assert header.spacing_mm == (row, column)
    assert (header.spacing_source, header.spacing_plane, header.warnings) == ("PixelSpacing", None, ())


@given(st.one_of(st.floats(1e-6, 0.06), st.floats(0.9, 1e6), st.just(1.0)))
def test_a_spacing_no_chest_film_has_is_ignored_and_warned_of(pitch: float) -> None:
    pitch = float(f"{pitch:.5g}")
    header, notes = header_of(FILM, PixelSpacing=[pitch, pitch])
    assert (header.spacing_mm, header.spacing_source, header.spacing_plane) == (None, None, None)
    assert header.warnings == (NO_CM2,)
    assert "PixelSpacing is not usable and was ignored" in notes


def test_one_by_one_is_never_believed() -> None:
    assert header_of(gradient(512, 400), PixelSpacing=[1, 1])[0].warnings == (NO_CM2,)


@pytest.mark.parametrize(
    "text", ["0.5", "0\\0", "-0.5\\-0.5", "nan\\nan", "inf\\inf", "a\\b", "\\", "0.5\\", "0.5\\0.5\\.5"]
)
def test_a_malformed_spacing_is_ignored_with_a_note(text: str) -> None:
    header, notes = raw_spacing(PixelSpacing=text)
    assert (header.spacing_mm, header.warnings) == (None, ())
    assert notes == ["PixelSpacing is not usable and was ignored"]


@pytest.mark.parametrize("text", ["0,5\\0,4", "0.5,0.4", " 0.5\\0.4 "])
def test_commas_are_understood(text: str) -> None:
    assert raw_spacing(PixelSpacing=text)[0].spacing_mm == (0.5, 0.4)


@pytest.mark.parametrize("useless", [[1, 1], [0, 0], [0.001, 0.001], [50, 50]])
def test_the_detector_s_spacing_is_the_second_choice(useless: list[float]) -> None:
    header, _ = header_of(FILM, PixelSpacing=useless, ImagerPixelSpacing=[0.4, 0.4])
    assert (header.spacing_mm, header.spacing_source, header.spacing_plane) == (
        (0.4, 0.4),
        "ImagerPixelSpacing",
        "detector",
    )
    assert header.warnings == ()


@pytest.mark.parametrize(
    ("elements", "plane"),
    [
        ({"PixelSpacing": [0.4, 0.4]}, None),
        ({"PixelSpacing": [0.4, 0.4], "ImagerPixelSpacing": [0.4, 0.4]}, "detector"),
        ({"PixelSpacing": [0.4, 0.4], "ImagerPixelSpacing": [0.42, 0.42]}, "patient"),
        ({"PixelSpacing": [0.4, 0.4], "ImagerPixelSpacing": [1, 1]}, None),
        ({"PixelSpacing": [0.4, 0.4], "PixelSpacingCalibrationType": "GEOMETRY"}, "patient"),
        ({"ImagerPixelSpacing": [0.4, 0.4]}, "detector"),
        ({"NominalScannedPixelSpacing": [0.4, 0.4]}, "detector"),
    ],
)
def test_the_plane_of_the_spacing(elements: dict[str, Any], plane: str | None) -> None:
    header, _ = header_of(FILM, **elements)
    assert header.spacing_mm == (0.4, 0.4)
    assert header.spacing_plane == plane


@given(st.floats(0.01, 3.0))
def test_a_plausible_magnification_corrects_the_detector_s_spacing(factor: float) -> None:
    factor = float(f"{factor:.4g}")
    elements = {"EstimatedRadiographicMagnificationFactor": factor, "ImagerPixelSpacing": [0.4, 0.4]}
    header, _ = header_of(FILM, **elements)
    assert header.spacing_mm is not None
    used = factor if 1 < factor <= 2 else 1.0
    assert header.spacing_mm[0] == pytest.approx(0.4 / used)
    assert header.spacing_plane == ("detector" if used == 1 else "patient")


# Never an exception


@pytest.mark.parametrize("representation", ["SQ", "OB", "US", "FD", "UN", "LT", "AT"])
@pytest.mark.parametrize("preamble", [True, False])
def test_facts_of_the_wrong_type_are_none(representation: str, preamble: bool) -> None:
    values = {"SQ": code("1", "Roe^Jane"), "OB": b"\xff\x00\xd3", "US": [7, 9], "FD": [1.5, 1e300], "UN": b"12"}
    dataset = dataset_of(SMALL)
    for keyword in ("BodyPartExamined", "ViewPosition", "PatientAge", "PatientSex", "PixelSpacing", "Modality"):
        if keyword in dataset:
            del dataset[keyword]
        dataset.add_new(
            keyword, representation, values.get(representation, "" if representation == "LT" else 0x00100010)
        )
    if not preamble:
        del dataset.file_meta
    implicit = {} if preamble else {"implicit_vr": False, "little_endian": True}
    parsed = parse(encoded(dataset, preamble, **implicit), 10**8)
    header = read_header(parsed)
    refuse_other_kinds(parsed)
    assert (header.spacing_mm, header.sex) == (None, None)
    assert "Roe" not in repr(header)


WORDS = st.one_of(st.text(max_size=16), st.binary(max_size=16).map(lambda data: data.decode("latin-1")))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["Modality", "BodyPartExamined", "ViewPosition", "PatientAge", "PatientSex", "PresentationIntentType"]
        ),
        WORDS,
    )
)
def test_no_words_make_the_header_fail(words: dict[str, str]) -> None:
    header, _ = header_of(**{key: text.encode().decode("latin-1").replace("\0", " ") for key, text in words.items()})
    assert header.sex in (None, "F", "M", "O")
    assert all(warning.isprintable() for warning in header.warnings)
