"""DICOMweb: which media type is answered with, and which results a search means."""

from typing import Any

import pytest
from fastapi import HTTPException
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from lunglens.serve.accept import chosen
from lunglens.serve.dicom_json import BadQueryError, matches, query_of, tag_of

MANY = 'multipart/related; type="application/dicom"'


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        ("", MANY),
        ("*/*", MANY),
        ("text/html, */*;q=0.1", MANY),
        ("multipart/related", MANY),
        ("multipart/*", MANY),
        ('Multipart/Related; type="application/dicom"; transfer-syntax=*', MANY),
        ("multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2.1", MANY),
        ('multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.50', None),
        ('multipart/related; type="application/octet-stream"', None),
        ('multipart/related; type="application/octet-stream, */*"', None),
        ("*/*;q=0", None),
        ("application/dicom;q=0.000, image/png", None),
        (";;==,,", None),
        ("application/dicom", "application/dicom"),
    ],
)
def test_what_is_accepted_is_chosen(accept: str, taken: str | None) -> None:
    offered = (MANY, "application/dicom")
    if taken is not None:
        assert chosen(accept, offered) == taken
        return
    with pytest.raises(HTTPException) as refused:
        chosen(accept, offered)
    assert refused.value.status_code == 406


@given(st.text(alphabet='abc/*;,=" q0.', max_size=40))
def test_any_accept_header_is_chosen_by_or_refused(accept: str) -> None:
    try:
        assert chosen(accept, ("a/b", "c/a")) in ("a/b", "c/a")
    except HTTPException as error:
        assert error.status_code == 406


def record(**attributes: Any) -> dict[str, Any]:
    dataset = Dataset()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    found: dict[str, Any] = dataset.to_json_dict()
    return found


@pytest.mark.parametrize(
    ("asked", "is_meant"),
    [
        ({"Modality": "SEG"}, True),
        ({"Modality": "SE?"}, True),
        ({"Modality": "seg"}, False),
        ({"Modality": ""}, True),
        ({"00080060": "S*"}, True),
        ({"PatientName": "doe^j*"}, True),
        ({"PatientName": "doe"}, False),
        ({"PatientID": "[1]"}, True),
        ({"PatientID": "?1?"}, True),
        ({"PatientID": "1"}, False),
        ({"StudyInstanceUID": "1.2"}, True),
        ({"StudyInstanceUID": "1.3\\1.2"}, True),
        ({"StudyInstanceUID": "1.*"}, False),
        ({"StudyDate": "20200131"}, True),
        ({"StudyDate": "20200101-20200131"}, True),
        ({"StudyDate": "20200201-"}, False),
        ({"StudyDate": "-20200130"}, False),
        ({"StudyTime": "10-11"}, True),
        ({"StudyTime": "12-"}, False),
        ({"Modality": "SEG", "PatientID": "2"}, False),
    ],
)
def test_a_record_is_matched_as_the_standard_says(asked: dict[str, str], is_meant: bool) -> None:
    one = record(Modality="SEG", PatientName="Doe^Jane", PatientID="[1]", StudyInstanceUID="1.2")
    one |= record(StudyDate="20200131", StudyTime="113000")
    assert matches(one, query_of(asked, "series")) is is_meant


@given(st.text(alphabet="ab*?", max_size=12), st.text(alphabet="ab", min_size=1, max_size=12))
def test_wildcards_are_any_letters_and_any_one(wanted: str, value: str) -> None:
    def by_hand(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return by_hand(pattern[1:], text) or (bool(text) and by_hand(pattern, text[1:]))
        return bool(text) and pattern[0] in ("?", text[0]) and by_hand(pattern[1:], text[1:])

    expected = by_hand(wanted, value) if wanted else True  # an empty key means all
    assert matches(record(PatientID=value), {tag_of("PatientID"): wanted}) is expected


@given(st.text(alphabet="Modality0123{}.^é", max_size=20))
def test_what_is_no_attribute_of_the_level_is_named(name: str) -> None:
    try:
        assert query_of({name: "x"}, "series")
    except BadQueryError as error:
        assert name in str(error)
