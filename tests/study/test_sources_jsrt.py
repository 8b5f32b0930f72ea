"""The reader of JSRT with the masks of SCR, on made-up trees of their published layout."""

from pathlib import Path

import pytest

from lunglens.errors import DataError
from lunglens.study.sources.jsrt import jsrt
from lunglens.study.sources.registry import Problems
from tests.support.published import by_stem, files, mask_of, said, written


def jsrt_tree(home: Path) -> None:
    files(*(home / "All247images" / f"{name}.IMG" for name in ("JPCLN001", "JPCLN106", "JPCNN001", "JPCNN075")))
    for name, fold in (("JPCLN001", "fold1"), ("JPCNN001", "fold2")):
        masks = home / "scratch" / fold / "masks"
        files(*(masks / part / f"{name}.gif" for part in ("left lung", "right lung", "heart", "left clavicle")))
    nodules = [
        "JPCLN001.IMG\t3\t11\t47\tmale\t900\t800\tmalignant\tl.upper lobe\tlung cancer\t\t",
        "JPCLN106.IMG\t1\t22\t?\tmale\t700\t600\tmalignant\tr.lower lobe\tlung cancer\t\t",
    ]
    written(home / "Clinical_Information" / "CLNDAT_EN.txt", "\r".join(nodules) + "\r\r")
    none = ["JPCNN001.IMG   33   female   non-nodule", "JPCNN075.IMG   17   male   non-nodule"]
    written(home / "Clinical_Information" / "CNNDAT_EN.TXT", "\r\n".join(none) + "\r\n")


def test_jsrt_s_tables_tell_age_sex_and_diagnosis(tmp_path: Path) -> None:
    jsrt_tree(tmp_path)
    problems: Problems = []
    found = by_stem(jsrt(tmp_path, problems))
    assert [(row.label, row.age_years, row.sex, row.exclude) for row in found.values()] == [
        ("other", 47, "M", None),
        ("other", None, "M", None),
        ("normal", 33, "F", None),
        ("normal", 17, "M", "under 18"),
    ]
    assert found["JPCLN001"].diagnosis == "nodule|malignant|l.upper lobe|lung cancer"
    assert found["JPCNN001"].diagnosis == "non-nodule"
    assert found["JPCLN001"].group_id == "jsrt-JPCLN001"
    assert problems == []


def test_jsrt_s_masks_lie_in_two_folds_and_only_lungs_count(tmp_path: Path) -> None:
    jsrt_tree(tmp_path)
    found = by_stem(jsrt(tmp_path, []))
    for name, fold in (("JPCLN001", "fold1"), ("JPCNN001", "fold2")):
        masks = tmp_path / "scratch" / fold / "masks"
        assert mask_of(found[name]) == f"{masks / 'left lung' / name}.gif|{masks / 'right lung' / name}.gif"
    assert (mask_of(found["JPCNN075"]), found["JPCNN075"].mask_rule) == (None, None)


def test_converted_films_are_read_and_the_raw_one_is_preferred(tmp_path: Path) -> None:
    files(
        tmp_path / "png" / "jpcnn001.png", tmp_path / "png" / "JPCNN002.png", tmp_path / "All247images" / "JPCNN001.IMG"
    )
    problems: Problems = []
    names = [Path(row.path).name for row in jsrt(tmp_path, problems)]
    assert names == ["JPCNN001.IMG", "JPCNN002.png"]
    assert {problem.file for problem in problems} == {str(tmp_path / f"{name}DAT_EN.TXT") for name in ("CLN", "CNN")}


def test_a_lung_without_the_other_is_noted_and_left_out(tmp_path: Path) -> None:
    jsrt_tree(tmp_path)
    lone = tmp_path / "scratch" / "fold2" / "masks" / "right lung" / "JPCNN075.gif"
    files(lone)
    problems: Problems = []
    assert not by_stem(jsrt(tmp_path, problems))["JPCNN075"].masks
    assert f"{lone}: has no mask of the left lung beside it" in said(problems)


def test_broken_and_repeated_lines_are_noted_with_file_and_row(tmp_path: Path) -> None:
    jsrt_tree(tmp_path)
    table = written(
        tmp_path / "Clinical_Information" / "CNNDAT_EN.TXT",
        "JPCNN001.IMG  30  female  non-nodule\nJPCNN001.IMG  31  female  non-nodule\nJPCNN075.IMG female 16\n"
        "JPCNN075.IMG  seven  male\n",
    )
    problems: Problems = []
    found = by_stem(jsrt(tmp_path, problems))
    assert (found["JPCNN001"].age_years, found["JPCNN075"].age_years) == (30, None)
    assert [str(problem) for problem in problems] == [
        f"{table}: row 2, column 'file': JPCNN001.IMG was in row 1 already; left out",
        f"{table}: row 3: is no line of file, age and sex: 'JPCNN075.IMG female 16'; left out",
        f"{table}: row 4, column 'age': 'seven' is not an age; taken as unknown",
    ]


def test_a_folder_without_jsrt_s_films_is_an_error(tmp_path: Path) -> None:
    files(tmp_path / "chest.png")
    with pytest.raises(DataError, match=r"no JPCLN\*\.IMG"):
        list(jsrt(tmp_path, []))
