"""Duplicates: planted copies are found, other films are not, and what is tied shares a group."""

import io
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from scipy import ndimage

from lunglens.errors import DataError
from lunglens.study.duplicates import find_duplicates, store, tie_groups, write_report
from lunglens.study.duplicates.describe import content_box, describe, pixel_hash
from lunglens.study.duplicates.groups import MOST_PATIENTS_A_PAGE, case_page, case_pairs, patient_pairs
from lunglens.study.duplicates.search import LEAST, MOST, similar_pairs
from lunglens.study.sources.registry import Problems
from tests.support.phantom import chest, save_png

COUNT = 8


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Different chests; the phantom's own differ too little, so each gets structure as of vessels and bones."""
    folder = tmp_path_factory.mktemp("films")
    return [save_png(person(seed), folder / f"film{seed}.png") for seed in range(COUNT)]


def person(seed: int) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).standard_normal((256, 256))
    structure = sum(sigma * ndimage.gaussian_filter(noise, sigma) for sigma in (4, 8))
    return np.clip(0.1 + 0.8 * chest(seed, opacities=3)[0] + 0.15 * structure, 0, 1).astype(np.float32)


def table(paths: list[Path], **columns: list[str | None]) -> pd.DataFrame:
    rows = pd.DataFrame({"path": [str(path) for path in paths], "source": "made up"})
    return rows.assign(**({"patient_id": None, "group_id": "", "case_url": None} | columns))


def find(paths: list[Path], cache: Path, problems: Problems | None = None) -> pd.DataFrame:
    return find_duplicates(table(paths), cache, Console(quiet=True), problems)


def named(pairs: pd.DataFrame) -> set[tuple[str, str, str]]:
    triples = zip(pairs["kind"], pairs["first"], pairs["second"], strict=True)
    return {(kind, *sorted((Path(first).name, Path(second).name))) for kind, first, second in triples}


# --- copies


def test_different_chests_are_no_duplicates(films: list[Path], tmp_path: Path) -> None:
    assert find(films, tmp_path).empty


def test_equal_pixels_are_exact_duplicates_whatever_the_file_format(films: list[Path], tmp_path: Path) -> None:
    values = np.asarray(Image.open(films[0]))
    Image.fromarray(values).save(tmp_path / "copy.tif")
    Image.fromarray(values.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.fromarray(np.stack([values] * 3, 2)).save(tmp_path / "rgb.png")
    copies = [tmp_path / name for name in ("copy.tif", "deep.png", "rgb.png")]
    assert {describe(path).pixel_hash for path in copies} == {describe(films[0]).pixel_hash}
    assert set(find([*films, *copies], tmp_path / "cache")["kind"]) == {"exact"}


def test_equal_values_in_another_shape_are_not_exact() -> None:
    square = np.zeros((80, 80), np.float32)
    assert pixel_hash(square) != pixel_hash(square.reshape(64, 100))


def smaller(film: Image.Image) -> Image.Image:
    return film.resize((140, 140))


def compressed(film: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    film.save(stream, "JPEG", quality=40)
    return Image.open(stream).convert("L")


def cropped(film: Image.Image) -> Image.Image:
    return film.crop((5, 22, 246, 250))


def bordered(film: Image.Image) -> Image.Image:
    canvas = Image.new("L", (320, 280), 255)
    canvas.paste(film, (40, 8))
    return canvas


def darker(film: Image.Image) -> Image.Image:
    return Image.fromarray((255 * (np.asarray(film) / 255) ** 1.6 * 0.8).astype(np.uint8))


def inverted(film: Image.Image) -> Image.Image:
    return Image.fromarray(255 - np.asarray(film))


def squashed(film: Image.Image) -> Image.Image:
    return film.resize((224, 150))


def all_at_once(film: Image.Image) -> Image.Image:
    return compressed(smaller(darker(bordered(cropped(film)))))


CHANGES = [smaller, compressed, cropped, bordered, darker, inverted, squashed, all_at_once]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_copy_is_found_near_its_film_and_no_other(films: list[Path], tmp_path: Path, change: object) -> None:
    copy = tmp_path / "copy.png"
    change(Image.open(films[3])).save(copy)  # type: ignore[operator]
    pairs = find([*films, copy], tmp_path / "cache")
    assert named(pairs) == {("near", "copy.png", "film3.png")}
    assert pairs["correlation"].between(0.8, 1).all()


def test_the_order_of_the_table_does_not_matter(films: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.png"
    smaller(Image.open(films[1])).save(copy)
    forward = find([*films, copy], tmp_path / "one")
    pd.testing.assert_frame_equal(forward, find([copy, *reversed(films)], tmp_path / "two"))


@pytest.mark.parametrize("gray", [0, 128, 255])
def test_even_borders_of_any_gray_are_cut(gray: int) -> None:
    canvas = np.full((300, 400), gray / 255, np.float32)
    canvas[20:276, 100:356] = chest(0)[0]
    left, top, right, bottom = content_box(canvas)
    assert (left, right) == pytest.approx((0.25, 0.89), abs=0.02)
    assert (top, bottom) == pytest.approx((20 / 300, 276 / 300), abs=0.02)


def test_an_even_picture_is_left_whole() -> None:
    assert content_box(np.full((80, 80), 0.5, np.float32)) == (0, 0, 1, 1)


def test_the_search_gives_the_most_similar_pairs_that_a_full_comparison_gives() -> None:
    vectors = np.random.default_rng(0).standard_normal((700, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs, similarity = similar_pairs(vectors)
    full = vectors @ vectors.T
    np.fill_diagonal(full, -1)
    rank = np.argsort(np.argsort(-full, axis=1), axis=1)
    wanted = np.argwhere(np.triu((np.minimum(rank, rank.T) < MOST) & (full >= LEAST), 1))
    np.testing.assert_array_equal(pairs, wanted)
    np.testing.assert_allclose(similarity, full[wanted[:, 0], wanted[:, 1]], rtol=1e-5)


# --- files that cannot be read, and the cache


def test_a_file_that_cannot_be_read_is_noted_and_the_others_are_compared(films: list[Path], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    problems: Problems = []
    paths = [*films[:2], tmp_path / "broken.png", tmp_path / "missing.png"]
    assert find(paths, tmp_path / "cache", problems).empty
    assert {Path(problem.file).name for problem in problems} == {"broken.png", "missing.png"}


def test_no_films_make_no_pairs(tmp_path: Path) -> None:
    assert find([], tmp_path).empty


def test_what_is_known_is_not_read_again_but_a_changed_file_is(
    films: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = tmp_path / "film.png"
    film.write_bytes(films[0].read_bytes())
    find([film, *films[1:]], tmp_path / "cache")
    read: list[str] = []

    def counted(path: Path) -> object:
        read.append(path.name)
        return describe(path)

    monkeypatch.setattr(store, "describe", counted)
    find([film, *films[1:]], tmp_path / "cache")
    assert read == []
    film.write_bytes(films[1].read_bytes())
    assert named(find([film, *films[1:]], tmp_path / "cache")) == {("exact", "film.png", "film1.png")}
    assert read == ["film.png"]


def test_a_cache_that_is_none_of_ours_is_an_error_that_names_it(films: list[Path], tmp_path: Path) -> None:
    (tmp_path / store.FILE).write_bytes(b"something else" * 100)
    with pytest.raises(DataError, match=store.FILE):
        find(films, tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
from rich.console import Console
from lunglens.study.duplicates import store
known = store.describe
def describe(path):
    if path.name == "film5.png":
        os.kill(os.getpid(), signal.SIGKILL)
    return known(path)
store.describe = describe
store._answers = lambda paths: (store._answer_all(paths[i : i + 2]) for i in range(0, len(paths), 2))
store.describe_all(sys.argv[2:], Path(sys.argv[1]), Console(quiet=True), [])
"""


def test_a_killed_run_goes_on_where_it_was(films: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), *map(str, films)], check=False)
    assert done.returncode == -signal.SIGKILL
    read: list[str] = []
    monkeypatch.setattr(store, "describe", lambda path: read.append(path.name) or describe(path))
    assert find(films, tmp_path).empty
    assert read == ["film4.png", "film5.png", "film6.png", "film7.png"]


# --- patients, case pages, groups


def test_films_of_a_patient_are_chained_within_a_source_and_unknown_patients_are_not() -> None:
    rows = table([Path(name) for name in "abcdef"], patient_id=["1", "1", "1", None, None, "1"])
    rows["source"] = ["x", "x", "x", "x", "x", "y"]
    assert patient_pairs(rows) == [("a", "b"), ("b", "c")]


def test_films_of_a_case_page_are_chained_across_sources_however_the_address_is_written() -> None:
    urls = [
        "https://www.eurorad.org/case/16745",
        "http://eurorad.org/case/16745/;",
        "https://eurorad.org/case/16744",
        None,
    ]
    assert case_pairs(table([Path(name) for name in "abcd"], case_url=urls)) == [("a", "b")]


def test_a_page_shared_by_many_patients_ties_none() -> None:
    for patients, tied in ((MOST_PATIENTS_A_PAGE, True), (MOST_PATIENTS_A_PAGE + 1, False)):
        paths = [Path(f"{index:02}") for index in range(patients)]
        rows = table(paths, patient_id=[str(i) for i in range(patients)], case_url=["https://a.org/set"] * patients)
        assert bool(case_pairs(rows)) is tied


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://radiopaedia.org/cases/covid-19-pneumonia-92?lang=us", "radiopaedia.org/cases/covid-19-pneumonia-92"),
        ("https://a.org/x?via%3Dihub", "a.org/x"),
        ("https://a.org/DOIx.php?id=10.3348/kjr", "a.org/DOIx.php?id=10.3348%2Fkjr"),
        ("https://www.sirm.org/", ""),
        ("", ""),
        ("no address", ""),
    ],
)
def test_a_case_page_is_the_address_without_what_does_not_name_it(url: str, page: str) -> None:
    assert case_page(url) == page


def test_ties_go_on_through_groups_and_pairs() -> None:
    rows = table([Path(name) for name in "abcdefg"], group_id=["g3", "g3", "g1", "", "", "", "g9"])
    rows.index = pd.Index(range(10, 17))
    pairs = pd.DataFrame({"first": ["b", "c", "e"], "second": ["d", "d", "f"]})
    groups = tie_groups(rows, pairs)
    assert groups.to_dict() == {10: "g1", 11: "g1", 12: "g1", 13: "g1", 14: "", 15: "", 16: "g9"}


def test_without_pairs_and_groups_nothing_is_tied() -> None:
    rows = table([Path("a"), Path("b")])
    assert list(tie_groups(rows, pd.DataFrame({"first": [], "second": []}))) == ["", ""]


# --- the report


def numbered(values: NDArray[np.float32], paths: list[Path]) -> pd.DataFrame:
    first, second = [str(path) for path in paths[:-1]], [str(path) for path in paths[1:]]
    return pd.DataFrame(
        {"first": first, "second": second, "kind": "near", "hash_distance": 0.1, "correlation": values[: len(first)]}
    )


def test_the_report_shows_both_films_of_a_pair_and_escapes_their_names(films: list[Path], tmp_path: Path) -> None:
    odd = tmp_path / "<b>odd&.png"
    odd.write_bytes(films[0].read_bytes())
    page = write_report(numbered(np.array([0.9], np.float32), [films[0], odd]), tmp_path / "out").read_text()
    assert page.count("data:image/jpeg;base64,") == 2
    assert "&lt;b&gt;odd&amp;.png" in page
    assert "<b>odd" not in page
    assert (tmp_path / "out" / "duplicates.csv").read_text().startswith("first,second,kind,hash_distance,correlation\n")


def test_a_long_report_has_several_pages_the_least_certain_first(tmp_path: Path) -> None:
    gone = [tmp_path / f"{index}.png" for index in range(252)]
    first = write_report(numbered(np.linspace(1, 0.8, 251, dtype=np.float32), gone), tmp_path / "out")
    assert "duplicates-2.html" in first.read_text()
    assert "correlation 0.80" in first.read_text()
    assert "correlation 1.00" in (tmp_path / "out" / "duplicates-2.html").read_text()
    assert "cannot be read" in first.read_text()
