"""Whatever a film's header holds, the results are valid, and join its study where that can be done."""

import io
import struct
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pydicom
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword

from lunglens.film.analyzer import Analyzer
from lunglens.film.dicom import DICOM_FILES, text
from lunglens.film.dicom.objects import NoDicomSourceError, dicom_results, read_source, refusal_results
from lunglens.film.dicom.tidy import COPIED, READ
from lunglens.film.finding import Analyzed
from lunglens.film.preprocess import resize
from lunglens.film.radiograph import radiograph_from_array, read_radiograph
from tests.support.dciodvfy import errors_of, needs_dciodvfy

STUDY = b"1.2.826.0.1.3680043.8.498.77"


@pytest.fixture(scope="module")
def finding(analyzer: Analyzer, rg_folder: Path) -> Analyzed:
    """Of a small chest film, so that many headers can be tried on it."""
    pixels = resize(read_radiograph(rg_folder / "RG1_UNCR.dcm").pixels, 244, 230)
    found = analyzer.analyze(radiograph_from_array(pixels))
    assert found.status == "analyzed"
    return found


def film_with(values: dict[str, bytes], path: Path, representations: dict[str, str] | None = None) -> Path:
    """A DICOM header with these bytes as values, written by hand, as no library writes such values."""
    kept = {"SOPClassUID": b"1.2.840.10008.5.1.4.1.1.1", "SOPInstanceUID": b"1.2.3.4", "StudyInstanceUID": b"1.2.3"}
    kept |= {"SeriesInstanceUID": b"1.2.3.5", "PhotometricInterpretation": b"MONOCHROME2", **values}
    body = b""
    for tag, name in sorted((int(tag_for_keyword(name) or 0), name) for name in kept):
        representation = (representations or {}).get(name) or dictionary_VR(tag)
        value = kept[name] + b" " * (len(kept[name]) % 2)
        body += struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, representation.encode(), len(value)) + value
    syntax = struct.pack("<HH2sH", 2, 0x10, b"UI", 20) + b"1.2.840.10008.1.2.1\0"
    length = struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(syntax))
    path.write_bytes(bytes(128) + b"DICM" + length + syntax + body)
    return path


garbage = st.one_of(
    st.binary(max_size=150),
    st.text(max_size=80).map(lambda value: value.encode("utf-8", "replace")),
    st.text("0123456789.\\^=: -", max_size=90).map(str.encode),
    st.sampled_from([b"\x1b$B;3ED\x1b(B", b"a" * 200, b"\\" * 9, b"^" * 70, b"=" * 5, b"\0" * 6, b"1.02.3", b"-1e999"]),
)
# dciodvfy counts bytes where the standard counts characters: what is not ASCII is short here.
plain = st.one_of(
    st.text("0123456789.\\^=: -abcXYZ\x1b\x07\n", max_size=200).map(str.encode), st.binary(max_size=20), st.just(b"YES")
)
representation = st.sampled_from(["LO", "SH", "UI", "CS", "DA", "TM", "PN", "AS", "DS", "IS", "US", "FD", "LT"])
values = sorted(name for name in READ if not name.endswith("Sequence"))
wrong = st.dictionaries(st.sampled_from(values), representation, max_size=3)
headers = st.dictionaries(st.sampled_from(sorted({*values} - {"StudyInstanceUID"})), garbage, max_size=8)


@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(header=headers, wrong=wrong)
@example(header={"SpecificCharacterSet": b"\xf4\xa3\xfe-"}, wrong={"SpecificCharacterSet": "FD"})
@example(header={"SpecificCharacterSet": b"ISO_IR 100"}, wrong={"SpecificCharacterSet": "US"})
def test_results_exist_and_are_read_back_whatever_the_header_holds(
    finding: Analyzed, header: dict[str, bytes], wrong: dict[str, str]
) -> None:
    with TemporaryDirectory() as folder:
        source = read_source(film_with({"StudyInstanceUID": STUDY, **header}, Path(folder) / "film.dcm", wrong))
    found = dicom_results(source, finding).files()
    assert set(found) == {name for name in DICOM_FILES if source.shown is not None or name != "outlines.pr.dcm"}
    for content in found.values():
        check(content)


@settings(max_examples=100, deadline=None)
@given(header=headers, wrong=wrong, reason=st.text(max_size=100))
def test_so_does_the_report_on_a_film_refused_by_its_header(
    header: dict[str, bytes], wrong: dict[str, str], reason: str
) -> None:
    with TemporaryDirectory() as folder:
        source = read_source(film_with({"StudyInstanceUID": STUDY, **header}, Path(folder) / "film.dcm", wrong))
    check(refusal_results(source, reason).files()["report.sr.dcm"])


def check(content: bytes) -> None:
    """It is read back without a complaint of pydicom's, belongs to the study, and all its UIDs are valid."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Of 64 characters in an odd number of bytes pydicom counts the blank that makes the number even.
        warnings.filterwarnings("ignore", r"The value length \(65\)")
        dataset = pydicom.dcmread(io.BytesIO(content))
        assert dataset.StudyInstanceUID == STUDY.decode()
        assert dataset.SpecificCharacterSet == "ISO_IR 192"
        for element in dataset.iterall():
            if element.VR == "UI" and element.value:
                assert all(text.uid(str(uid)) for uid in np.atleast_1d(element.value)), element.keyword


@needs_dciodvfy
@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@example(header={"SpecificCharacterSet": b"IS\0IR 192"})  # at which pydicom gives up on the whole header
@given(header=st.dictionaries(st.sampled_from(sorted({*COPIED} - {"StudyInstanceUID"})), plain, max_size=8))
def test_the_validator_finds_no_errors_whatever_the_header_holds(header: dict[str, bytes]) -> None:
    with TemporaryDirectory() as folder:
        source = read_source(film_with({"StudyInstanceUID": STUDY, **header}, Path(folder) / "film.dcm"))
        assert not errors_of(refusal_results(source, "it is a leg").files()["report.sr.dcm"], Path(folder))


@given(raw=garbage)
def test_an_invalid_study_is_replaced_the_same_way_each_time_and_a_valid_one_never(raw: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = film_with({"StudyInstanceUID": raw}, Path(folder) / "film.dcm")
        if not raw.strip(b" \0"):
            with pytest.raises(NoDicomSourceError, match="no StudyInstanceUID"):
                read_source(path)
            return
        first, second = read_source(path), read_source(path)
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert text.uid(first.StudyInstanceUID)
    valid = text.uid(raw.decode("latin-1"))
    assert first.StudyInstanceUID == valid if valid else "Study Instance UID" in str(first.repairs)


@pytest.mark.parametrize(
    ("name", "written", "kept"),
    [
        ("StudyInstanceUID", b"1.2.3.4\0", "1.2.3.4"),
        ("StudyInstanceUID", b" 1.2.3.4  ", "1.2.3.4"),
        ("PatientID", b"P" * 64, "P" * 64),
        ("PatientID", b"P" * 65, ""),  # cut, it would be another patient's
        ("PatientID", b"A\\B", ""),
        ("PatientID", b"a\xffb", ""),  # the header does not say which character that is
        ("AccessionNumber", b"A" * 17, ""),
        ("AccessionNumber", b" A1 ", "A1"),
        ("StudyID", b"S\n1", ""),
        ("PatientSex", b"male", "M"),
        ("PatientSex", b"W", ""),
        ("PatientBirthDate", b"1960.02.01", "19600201"),
        ("PatientBirthDate", b"19600000", ""),
        ("StudyTime", b"12:30:59.5", "123059.5"),
        ("StudyTime", b"9999", ""),
        ("PatientName", b"Doe^Jane^^^^^", "Doe^Jane"),
        ("PatientName", b"A" * 70 + b"^B", "A" * 64),
        ("PatientName", b"Doe\x07^Ja\x1bne", "Doe^Jane"),
        ("PatientName", b"M\xfcller^J\xf6rg", "M\u00fcller^J\u00f6rg"),  # Latin-1, unstated
        ("PatientName", "M\u00fcller^J\u00f6rg".encode(), "M\u00fcller^J\u00f6rg"),  # UTF-8, unstated
    ],
)
def test_what_becomes_of_a_value(name: str, written: bytes, kept: str, tmp_path: Path) -> None:
    source = read_source(film_with({name: written}, tmp_path / "film.dcm"))
    assert str(source[name].value or "") == kept


@pytest.mark.parametrize(
    ("character_set", "written"),
    [
        (b"ISO_IR 100", "Buc^J\u00e9r\u00f4me".encode("latin-1")),
        (b"ISO_IR 192", "Buc^J\u00e9r\u00f4me".encode()),
        (b"ISO_IR 192", "Buc^J\u00e9r\u00f4me".encode("latin-1")),  # stated wrongly
        (b"ISO_IR_100", "Buc^J\u00e9r\u00f4me".encode("latin-1")),  # misspelt
        (b"UNKNOWN", "Buc^J\u00e9r\u00f4me".encode()),
        (b"ISO_IR 6", "Buc^J\u00e9r\u00f4me".encode("latin-1")),
    ],
)
def test_names_in_any_character_set_come_out_in_utf_8(character_set: bytes, written: bytes, tmp_path: Path) -> None:
    path = film_with({"SpecificCharacterSet": character_set, "PatientName": written}, tmp_path / "film.dcm")
    assert str(read_source(path).PatientName) == "Buc^J\u00e9r\u00f4me"


def test_japanese_names_keep_all_groups(tmp_path: Path) -> None:
    # The second group's last name has the bytes of "=" and "\\" in its two-byte characters.
    kanji = "\u4f4f\u7530^\u592a\u90ce".encode("iso2022_jp")
    assert b"=" in kanji
    written = b"Sumita^Tarou=" + kanji
    sets = b"\\ISO 2022 IR 87"
    path = film_with({"SpecificCharacterSet": sets, "PatientName": written}, tmp_path / "film.dcm")
    assert str(read_source(path).PatientName) == "Sumita^Tarou=\u4f4f\u7530^\u592a\u90ce"


def test_identifiers_that_are_missing_are_made_up_and_that_is_said(tmp_path: Path) -> None:
    path = film_with({"SOPInstanceUID": b"", "SeriesInstanceUID": b"1.02", "SOPClassUID": b"x"}, tmp_path / "film.dcm")
    source = read_source(path)
    assert source.StudyInstanceUID == "1.2.3"
    assert all(text.uid(source[name].value) for name in ("SOPInstanceUID", "SeriesInstanceUID", "SOPClassUID"))
    (repair,) = source.repairs
    assert "SOP Instance UID" in repair and "Series Instance UID" in repair and "1.02" not in repair
    report = refusal_results(source, "it is a leg").objects["report.sr"]
    assert repair in [item.value for item in report.iterall() if item.keyword == "TextValue"]


def test_a_film_of_a_private_sop_class_is_referred_to_by_it(finding: Analyzed, tmp_path: Path) -> None:
    private = "1.2.826.0.1.3680043.8.498.99.1"
    source = read_source(film_with({"SOPClassUID": private.encode()}, tmp_path / "film.dcm"))
    for dataset in dicom_results(source, finding).objects.values():
        classes = [item.value for item in dataset.iterall() if item.keyword == "ReferencedSOPClassUID"]
        assert private in classes or dataset.Modality == "OT"
        assert "1.2.840.10008.5.1.4.1.1.1" not in classes


def test_nothing_of_a_header_is_logged(
    finding: Analyzed, tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    odd = {"SpecificCharacterSet": b"SECRET", "PatientName": b"SECRET\xff" * 20, "PatientSex": b"SECRET"}
    dicom_results(read_source(film_with(odd, tmp_path / "film.dcm")), finding).files()
    assert "SECRET" not in caplog.text + str([str(warning.message) for warning in recwarn])
