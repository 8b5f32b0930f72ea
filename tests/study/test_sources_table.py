"""Published tables: what must be there, what may be wrong, and how it is said: file, row, column."""

from pathlib import Path

import pytest

from lunglens.errors import DataError
from lunglens.study.sources.registry import Problem, Problems
from lunglens.study.sources.table import Line, group, listed, read_table, stem_of, years_of


def read(path: Path, content: bytes | str, columns: tuple[str, ...] = ("name", "age")) -> tuple[list[Line], list[str]]:
    """Lines, and the problems in words."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    problems: Problems = []
    return read_table(path, list(columns), problems), [str(problem) for problem in problems]


def test_columns_match_whatever_their_case_and_cells_lose_their_blanks(tmp_path: Path) -> None:
    lines, problems = read(tmp_path / "t.csv", " Name ,AGE\n Ann , 40\n")
    assert [(line["name"], line["Age"], line.row) for line in lines] == [("Ann", "40", 2)]
    assert problems == []


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    lines, problems = read(tmp_path / "t.csv", b"\xef\xbb\xbfname,age\nAnn,40\n")
    assert lines[0]["name"] == "Ann"
    assert problems == []


def test_windows_1252_is_read_and_its_first_row_named(tmp_path: Path) -> None:
    lines, problems = read(tmp_path / "t.csv", b"name,age\nAnn,40\nJos\xe9,50\n")
    assert [line["name"] for line in lines] == ["Ann", "Jos\u00e9"]
    assert problems == [f"{tmp_path / 't.csv'}: row 3: is not UTF-8; the table is read as Windows-1252"]


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", bytes(range(256)) * 20, "name,age\na,4\n".encode("utf-16"), b'name,age\n"a' + b"x" * 200_000, None],
)
def test_a_table_that_cannot_be_read_is_a_data_error_with_its_path(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "t.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_table(path, ["name", "age"], [])
    assert str(path) in str(caught.value)


def test_a_column_that_is_missing_or_there_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lacks the column\(s\) age"):
        read(tmp_path / "t.csv", "name,years\na,4\n")
    with pytest.raises(DataError, match=r"column\(s\) age twice"):
        read(tmp_path / "t.csv", "name,age,Age\na,4,5\n")


def test_a_comma_too_many_and_a_column_without_a_name_do_no_harm(tmp_path: Path) -> None:
    lines, problems = read(tmp_path / "t.csv", "name,age,\nAnn,40,\nBob,50\nCid,60,a remark\n")
    assert [(line["name"], line["age"]) for line in lines] == [("Ann", "40"), ("Bob", "50"), ("Cid", "60")]
    assert problems == []


def test_broken_lines_are_left_out_and_named_and_blank_ones_only_counted(tmp_path: Path) -> None:
    lines, problems = read(tmp_path / "t.csv", "name,age\nshort\n\nAnn,40\nBob,50,60,70\n")
    assert [(line["name"], line.row) for line in lines] == [("Ann", 4)]
    path = tmp_path / "t.csv"
    assert problems == [
        f"{path}: row 2: has 1 cells, the header 2; left out",
        f"{path}: row 5: has 4 cells, the header 2; left out",
    ]


def test_a_line_with_nul_bytes_is_left_out_and_named(tmp_path: Path) -> None:
    lines, problems = read(tmp_path / "t.csv", b"name,age\nA\0nn,40\nBob,50\n")
    assert [line["name"] for line in lines] == ["Bob"]
    assert problems == [f"{tmp_path / 't.csv'}: row 2: holds NUL bytes; left out"]


def test_a_quote_that_is_never_closed_is_an_error_that_names_its_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a quote in row 3 is never closed"):
        read(tmp_path / "t.csv", 'name,age\nAnn,40\n"Bob,50\nCid,60\n')


def test_line_breaks_and_separators_inside_a_cell_do_not_end_the_line(tmp_path: Path) -> None:
    lines, problems = read(tmp_path / "t.csv", 'name,age\n"Ann\nLee",40\nBob\u2028\x0cLee,50\n')
    assert [(line["name"], line.row) for line in lines] == [("Ann\nLee", 2), ("Bob\u2028\x0cLee", 3)]
    assert problems == []


def test_what_a_cell_does_not_say_is_unknown_with_a_problem_that_names_it(tmp_path: Path) -> None:
    lines, _ = read(tmp_path / "t.csv", "name,age,sex,n\nAnn,old,x,two\nBob,,,NaN\nCid,058Y,Female,3\n")
    found = [(line.age("age"), line.sex("sex"), line.number("n")) for line in lines]
    assert found == [(None, None, None), (None, None, None), (58, "F", 3)]
    assert [(problem.row, problem.column) for problem in lines[0].problems] == [(2, "age"), (2, "sex"), (2, "n")]
    assert "'old' is not an age" in str(lines[0].problems[0])


def test_listed_images_are_found_by_stem_and_missing_ones_counted(tmp_path: Path) -> None:
    lines, _ = read(tmp_path / "t.csv", "name,age\nA.png,1\nsub\\b.jpeg,2\ngone.png,3\n,4\n")
    images = {"a": Path("a.jpg"), "b": Path("b.png")}
    found = [(line.row, path.name) for line, path in listed(lines, "name", images)]
    assert found == [(2, "a.jpg"), (3, "b.png")]
    (problem,) = lines[0].problems
    assert (problem.row, problem.column) == (4, "name")
    assert problem.message == "2 of 4 listed images are not here, the first is 'gone.png'"


def test_a_repeated_image_is_kept_once_and_contradictions_are_told(tmp_path: Path) -> None:
    lines, _ = read(tmp_path / "t.csv", "name,age\na.png,1\na.png,1\na.png,2\n")
    assert len(list(listed(lines, "name", {"a": Path("a.png")}))) == 1
    same, other = lines[0].problems
    assert str(same).endswith("row 3, column 'name': a.png was in row 2 already; left out")
    assert str(other).endswith("a.png was in row 2 already, there with another age; the first is kept")


@pytest.mark.parametrize(
    ("cell", "years"),
    [
        ("45", 45),
        ("058Y", 58),
        ("006M", 0.5),
        ("0", 0),
        ("Y", None),
        ("nan", None),
        ("inf", None),
        ("-1", None),
        ("121", None),
    ],
)
def test_ages_are_plausible_years_or_unknown(cell: str, years: float | None) -> None:
    assert years_of(cell) == years


def test_stems_keep_the_dots_of_names_without_an_ending() -> None:
    assert stem_of("folder/1.2.840.113") == "1.2.840.113"
    assert stem_of("Case.One.PNG") == "case.one"
    assert stem_of("") == ""


def test_an_unknown_patient_has_no_group() -> None:
    assert group("s", "7") == "s-7"
    assert group("s", None) == ""


def test_a_problem_says_only_what_it_knows() -> None:
    assert str(Problem("t.csv", None, None, "is empty")) == "t.csv: is empty"
    assert str(Problem("t.csv", 3, "age", "odd")) == "t.csv: row 3, column 'age': odd"
