"""The report in other languages: every file says all that the code says, with the same values in it."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lunglens.film
from lunglens.film.about import NOTICE
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch import AnalysisWriter
from lunglens.film.language import ENGLISH, Said, from_json, joined, language_of, languages, say, to_json
from lunglens.film.model_package.package import load_package, shipped_models
from lunglens.film.statements import percent

OTHERS = [code for code in languages() if code != ENGLISH]
GERMAN = language_of("de")


def said_in_code() -> set[str]:
    """The patterns that `say` is called with, or `partial(say, ...)`; those without a letter need no translation."""
    found = {NOTICE}
    for path in Path(lunglens.film.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and "say" in (name_of(node.func), *map(name_of, node.args[:1])):
                first = next((one for one in node.args if name_of(one) != "say"), None)
                if isinstance(first, ast.Constant):
                    found.add(first.value)
    return {pattern for pattern in found if any(map(str.isalpha, letters_of(pattern)))}


def name_of(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def letters_of(pattern: str) -> str:
    return "".join(text for text, *_ in Formatter().parse(pattern))


def fields_of(pattern: str) -> list[tuple[str, str]]:
    return sorted((name, spec or "") for _, name, spec, _ in Formatter().parse(pattern) if name)


def said_by_packages() -> Iterator[str]:
    """What the report takes from the packages that ship, as far as it is no name of a disease or a model."""
    yield from ("lungs", "classifier", "orientation", "severity")
    yield from load_package(shipped_models() / "lungs", "lungs").parameters.masks
    for name in ("classifier", "hrnet"):
        record = load_package(shipped_models() / name, "classification").record
        yield from (row.films for row in record.measured.rows)
        yield record.parameters.answer.classes[1].words


def test_there_are_german_and_spanish_and_what_is_no_language_is_refused() -> None:
    assert languages() == ("en", "de", "es")
    for code in ("fr", "../de", "", "DE"):
        with pytest.raises(ValueError, match="there are en, de, es"):
            language_of(code)


@pytest.mark.parametrize("code", OTHERS)
def test_a_language_says_all_that_english_says_and_nothing_else(code: str) -> None:
    optional = {pattern for pattern in language_of(code).sentences if not any(map(str.isalpha, letters_of(pattern)))}
    assert set(language_of(code).sentences) - optional == said_in_code() | set(said_by_packages())


@pytest.mark.parametrize("code", OTHERS)
def test_placeholders_are_those_of_english(code: str) -> None:
    for english, other in language_of(code).sentences.items():
        assert fields_of(other) == fields_of(english), english
        assert not other.endswith(".") or english.endswith("."), english


@pytest.mark.parametrize(
    ("text", "german"),
    [
        (percent(0.123), "12,3 %"),
        (say("{area:,} px", area=1234567), "1.234.567 px"),
        (say("{words} probability", words="not COVID-19"), "Wahrscheinlichkeit für kein COVID-19"),
        (say("{words} probability", words="{0} 1.5"), "Wahrscheinlichkeit für {0} 1.5"),
        (joined("; ", [say("mirrored"), "1.5", percent(0.00001)]), "gespiegelt; 1.5; < 0,1 %"),
        ("mirrored", "gespiegelt"),
        ("never heard of, 1.5", "never heard of, 1.5"),
    ],
)
def test_german(text: str, german: str) -> None:
    assert GERMAN.of(text) == german
    assert language_of(ENGLISH).of(text) == text
    assert GERMAN.of(from_json(json.loads(json.dumps(to_json(text))))) == german


def test_what_is_not_translated_is_known_as_english() -> None:
    assert [GERMAN.code_of(text) for text in ("never heard of", "mirrored", say("mirrored"))] == ["en", "de", "de"]


values = st.one_of(st.text(), st.integers(), st.floats(allow_nan=False))


@settings(max_examples=50)
@given(st.recursive(values, lambda inner: st.lists(inner, max_size=3).map(lambda some: joined(", ", map(str, some)))))
def test_all_texts_stay_what_they_are_in_english_and_in_json(text: object) -> None:
    said = say("{text}", text=text)  # type: ignore[arg-type]
    assert isinstance(said, Said) and language_of(ENGLISH).of(said) == said
    again = from_json(json.loads(json.dumps(to_json(said))))
    assert again == said and GERMAN.of(again) == GERMAN.of(said)


def test_a_batch_writes_the_report_in_a_language_and_all_else_in_english(
    rg_folder: Path, analyzer: Analyzer, tmp_path: Path
) -> None:
    write = AnalysisWriter(report=True, language="de")
    write.write(rg_folder / "RG1_UNCR.dcm", tmp_path / "rg", analyzer)
    page = (tmp_path / "rg.report.html").read_text()
    assert '<html lang="de">' in page and "Nicht zur Diagnose." in page and "Herz-Thorax-Quotient 0,54" in page
    assert not any(english in page for english in (NOTICE, "cardiothoracic ratio", "probability"))
    assert b"/Lang(de)" in (tmp_path / "rg.report.pdf").read_bytes()
    assert json.loads((tmp_path / "rg.json").read_text())["notice"] == NOTICE
    assert write.key(analyzer) != AnalysisWriter(report=True).key(analyzer)  # asked later, it is written anew
