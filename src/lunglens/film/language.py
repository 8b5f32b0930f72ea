"""What is said of a film, in English, and how the report says the same in another language.

English stands in the code, as patterns (`str.format`). `languages/` has a file a language: pattern by English pattern.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any

ENGLISH = "en"


class Said(str):
    """An English text that knows of which pattern and values it was made; all but the report take it for a `str`."""

    pattern: str
    values: dict[str, Any]


def say(pattern: str, **values: str | float) -> Said:
    """The English text; numbers stay what they are until a language writes them.

    >>> say("{share:.1f} % of {whole}", share=12.5, whole=say("the lungs"))
    '12.5 % of the lungs'
    """
    kept = {name: value if isinstance(value, str | int) else float(value) for name, value in values.items()}
    said = Said(pattern.format(**kept))
    said.pattern, said.values = pattern, kept
    return said


def joined(separator: str, texts: Iterable[str]) -> Said:
    """As `str.join`; each text is said in the other language by itself.

    >>> joined("; ", ["a", say("b")])
    'a; b'
    """
    values = {f"_{number}": text for number, text in enumerate(texts)}
    return say(separator.join(f"{{{name}}}" for name in values), **values)


def to_json(text: str) -> Any:
    """A text as JSON can keep it; `from_json` gives the same again."""
    if not isinstance(text, Said):
        return text
    values = {name: to_json(value) if isinstance(value, str) else value for name, value in text.values.items()}
    return {"pattern": text.pattern, "values": values}


def from_json(kept: Any) -> Any:
    """What `to_json` was given."""
    if not isinstance(kept, dict):
        return kept
    return say(kept["pattern"], **{name: from_json(value) for name, value in kept["values"].items()})


@dataclass(frozen=True, eq=False)
class Language(Formatter):
    """A language as its file has it.

    code: ISO 639-1, "de". name: its own, "Deutsch". decimal, thousands: marks in numbers.
    sentences: pattern, with the same placeholders, by English pattern; nothing in English.
    """

    code: str
    name: str
    decimal: str
    thousands: str
    sentences: dict[str, str]

    def of(self, text: str) -> str:
        """The text in this language; what was not made by `say`, and has no sentence of its own, stays as it is."""
        if not isinstance(text, Said):
            return self.sentences.get(text, text)
        return self.vformat(self.sentences.get(text.pattern, text.pattern), (), text.values)

    def code_of(self, text: str) -> str:
        """Which language `of` gives the text in."""
        return self.code if isinstance(text, Said) or text in self.sentences else ENGLISH

    def format_field(self, value: Any, format_spec: str) -> str:
        """Of a placeholder; called by `vformat`."""
        if isinstance(value, str):
            return self.of(value)
        return format(value, format_spec).translate({ord("."): self.decimal, ord(","): self.thousands})


@cache
def language_of(code: str) -> Language:
    """The language of a code.

    Raises:
        ValueError: there is no such file.
    """
    if code == ENGLISH:
        return Language(code, "English", ".", ",", {})
    if code not in languages():
        raise ValueError(f"no language {code!r}; there are {', '.join(languages())}")
    found = tomllib.loads(files(__package__).joinpath("languages", f"{code}.toml").read_text(encoding="utf-8"))
    return Language(code, **found)


@cache
def languages() -> tuple[str, ...]:
    """The codes of all languages, English first."""
    there = sorted(file.name.removesuffix(".toml") for file in files(__package__).joinpath("languages").iterdir())
    return (ENGLISH, *there)
