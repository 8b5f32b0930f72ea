"""What results are called: no name on any file system leads to another film's or the user's own file."""

import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lunglens.errors import OutputError
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch import JOURNAL, AnalysisWriter, find_films, result_names, run_batch
from lunglens.film.batch.names import SUFFIXES, identity
from tests.support.command import summary

DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{port}{n}" for port in ("COM", "LPT") for n in range(10)
}


def is_safe(name: str) -> bool:
    """Whether Windows, macOS and Linux take `name` and every file of it, and no shell or spreadsheet runs it."""
    return (
        all(
            len((name + suffix).encode()) <= 255 and len((name + suffix).encode("utf-16-le")) <= 510
            for suffix in SUFFIXES
        )
        and not set(name) & set('<>:"/\\|?*')
        and not {unicodedata.category(letter) for letter in name} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
        and name.split(".", maxsplit=1)[0].strip().upper() not in DEVICES
        and name[-1] not in ". "
        and name[0] not in ".-=+@ "
    )


def test_colliding_names_are_told_apart() -> None:
    names = result_names([Path("a/x.png"), Path("b/X.dcm"), Path("b/y.dcm")])
    assert len({name.lower() for name in names}) == 3
    assert names[2] == "y"
    assert names == result_names([Path("a/x.png"), Path("b/X.dcm"), Path("b/y.dcm")])


@pytest.mark.parametrize(
    ("film", "name"),
    [
        ("x.png", "x"),
        ("x.DCM", "x"),
        ("x.jfif", "x"),
        ("JPCLN001.IMG", "JPCLN001"),
        ("1.2.826.0.1.3680043.8.498.1002", "1.2.826.0.1.3680043.8.498.1002"),
        ("film.001", "film.001"),
        ("x.y.png", "x.y"),
        ("Müller, Änne.png", "Müller, Änne"),
        ("日本.dcm", "日本"),
        ("CON.png", "_CON"),
        ("con.b.png", "_con.b"),
        ("LPT1", "_LPT1"),
        ("console.png", "console"),
        ("a:b?.png", "a_b_"),
        ("dots...png", "dots._"),
        (".hidden.png", "_.hidden"),
        ("-rf.png", "_-rf"),
        ("=1+1.png", "_=1+1"),
        ("a\x1b[31m.png", "a_x1b[31m"),
        ("a\nb.png", "a_nb"),
        ("caf\udce9.png", "caf_udce9"),
    ],
)
def test_names(film: str, name: str) -> None:
    assert result_names([Path(film)]) == [name]


film_names = st.text(st.characters(exclude_characters="/\0", exclude_categories=()), min_size=1, max_size=255).filter(
    lambda name: name not in (".", "..")
)


@settings(max_examples=500, deadline=None)
@given(st.lists(film_names, min_size=1, max_size=8, unique=True))
@example(["x" * 253])
@example(["ä" * 127, "ä" * 126])
@example(["\U0001f98a" * 63 + "a", "\U0001f98a" * 63 + "b"])
@example(["é.png", unicodedata.normalize("NFD", "é.png"), "É.png"])
@example(["straße.png", "STRASSE.png", "\u017ftraße.png"])
@example(["COM\u00b9.png", "com1 .x", "nul.", "NUL"])
def test_any_names_give_safe_ones_that_no_file_system_takes_for_one(films: list[str]) -> None:
    names = result_names([Path("films") / film for film in films])
    assert all(is_safe(name) for name in names)
    assert len({unicodedata.normalize("NFD", name.casefold()) for name in names}) == len(films)
    assert len({unicodedata.normalize("NFC", name.upper()) for name in names}) == len(films)
    assert names == result_names([Path("films") / film for film in films])


def test_a_film_keeps_the_name_that_it_has() -> None:
    first, second = Path("a/x.png"), Path("b/x.png")
    (name,) = result_names([first])
    claimed = {name: identity(first)}
    again = result_names([second, first], claimed, ["x.json", "x.panel.png"])
    assert again[1] == "x"
    assert again[0] != "x"
    assert result_names([second], claimed)[0] == again[0]  # alone it gets no other film's name either


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["x", "X"])
def test_no_file_that_is_not_ours_is_written_over(
    suffix: str, name: str, chest_png: Path, stub: Analyzer, tmp_path: Path
) -> None:
    shutil.copy(chest_png, tmp_path / "x.png")
    theirs = tmp_path / f"{name}{suffix}"
    theirs.write_bytes(b"the user's own")
    for _ in range(2):
        (outcome,) = run_batch([tmp_path / "x.png"], tmp_path, stub, AnalysisWriter(), lambda _: None)
        assert outcome.status == "analyzed"
        assert outcome.result.startswith("x-")
    assert theirs.read_bytes() == b"the user's own"
    assert len(list(tmp_path.glob("*.json"))) == 1 + (suffix == ".json")


def test_the_users_own_lungs_png_stays_and_is_a_film(chest_png: Path, stub: Analyzer, tmp_path: Path) -> None:
    for name in ("x.png", "x.lungs.png"):
        shutil.copy(chest_png, tmp_path / name)
    before = (tmp_path / "x.lungs.png").read_bytes()
    counts = []
    for _ in range(3):
        films = find_films([tmp_path])
        counts.append(len(films))
        run_batch(films, tmp_path, stub, AnalysisWriter(), lambda _: None)
    assert counts == [2, 2, 2]
    assert (tmp_path / "x.lungs.png").read_bytes() == before
    assert len({row["result"] for row in summary(tmp_path)}) == 2


def test_a_file_that_came_into_the_way_later_is_a_film_and_not_written_over(
    chest_png: Path, stub: Analyzer, tmp_path: Path
) -> None:
    shutil.copy(chest_png, tmp_path / "x.png")
    run_batch([tmp_path / "x.png"], tmp_path, stub, AnalysisWriter(), lambda _: None)
    shutil.copy(chest_png, tmp_path / "x.lungs.png")
    (tmp_path / "x.json").unlink()
    films = find_films([tmp_path])
    assert [film.name for film in films] == ["x.lungs.png", "x.png"]
    outcomes = run_batch(films, tmp_path, stub, AnalysisWriter(), lambda _: None)
    assert [outcome.status for outcome in outcomes] == ["analyzed", "failed"]
    assert "x.lungs.png" in str(outcomes[1].reason)
    assert (tmp_path / "x.lungs.png").read_bytes() == chest_png.read_bytes()
    (tmp_path / "x.lungs.png").rename(tmp_path / "y.png")
    (outcome,) = run_batch([tmp_path / "x.png"], tmp_path, stub, AnalysisWriter(), lambda _: None)
    assert outcome.status == "analyzed"


def test_every_kind_of_result_is_known_as_ours(rg_folder: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    film = rg_folder / "RG1_UNCR.dcm"
    write = AnalysisWriter(dicom=True, report=True)
    for _ in range(2):  # the second time over what is there
        (outcome,) = run_batch([film], tmp_path, analyzer, write, lambda _: None)
        assert outcome.status == "analyzed", outcome.reason
        written = {
            path.name.removeprefix("RG1_UNCR") for path in tmp_path.iterdir() if path.name.startswith("RG1_UNCR.")
        }
        assert written == {*SUFFIXES} - {".region.png"}  # the package that ships gives fields alone
        (tmp_path / "RG1_UNCR.json").unlink()


def test_a_summary_of_somebody_else_ends_the_batch_before_it_begins(
    chest_png: Path, stub: Analyzer, tmp_path: Path
) -> None:
    (tmp_path / "summary.csv").write_text("patient,diagnosis\n")
    with pytest.raises(OutputError, match=r"summary\.csv"):
        run_batch([chest_png], tmp_path, stub, AnalysisWriter(), lambda _: None)
    assert (tmp_path / "summary.csv").read_text() == "patient,diagnosis\n"
    assert not (tmp_path / "chest.json").exists()


def test_films_of_one_name_from_two_runs_keep_their_results(chest_png: Path, stub: Analyzer, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(chest_png, tmp_path / folder / "x.png")
        run_batch([tmp_path / folder / "x.png"], out, stub, AnalysisWriter(), lambda _: None)
    films = find_films([tmp_path / "a", tmp_path / "b"])
    outcomes = run_batch(films, out, stub, AnalysisWriter(), lambda _: None)
    assert [outcome.result == "x.json" for outcome in outcomes] == [True, False]
    assert len(list(out.glob("*.json"))) == 2


def test_results_of_version_0_1_0_are_known_and_written_over(chest_png: Path, stub: Analyzer, tmp_path: Path) -> None:
    shutil.copy(chest_png, tmp_path / "x.png")
    for suffix in (".json", ".panel.png", ".lungs.png"):
        shutil.copy(chest_png, tmp_path / f"x{suffix}")  # without a mark
    (tmp_path / JOURNAL).write_text(
        '{"started": "0"}\n'
        '{"done": "0", "outcome": {"path": "x.png", "status": "analyzed", "covid_probability": 0.5, '
        '"decision": "covid", "reason": null, "seconds": 1.0, "result": "x.json"}}\n'
    )
    assert find_films([tmp_path]) == [tmp_path / "x.png"]
    assert run_batch([tmp_path / "x.png"], tmp_path, stub, AnalysisWriter(), lambda _: None)[0].result == "x.json"


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "ä" * 125 + ".dcm", "x" * 255, "\U0001f98a" * 63])
def test_names_as_long_as_a_file_system_takes(name: str, chest_png: Path, stub: Analyzer, tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    for film in (name, name[:-6] + "other"):
        shutil.copy(chest_png, folder / film)
    outcomes = run_batch(find_films([folder]), tmp_path / "out", stub, AnalysisWriter(), lambda _: None)
    assert [outcome.status for outcome in outcomes] == ["analyzed", "analyzed"]
    assert len({outcome.result for outcome in outcomes}) == 2
    assert all(len(os.fsencode(path.name)) <= 255 for path in (tmp_path / "out").iterdir())
