"""A header's bytes -> text, and text -> a valid value of its VR (PS3.5 6.1, 6.2), or '' where there is none."""

import re
import unicodedata
from collections.abc import Callable
from datetime import datetime

from pydicom.charset import convert_encodings, decode_bytes, default_encoding

_UID = re.compile(r"([01]\.[1-3]?\d|2\.(0|[1-9]\d*))(\.(0|[1-9]\d*))*")  # roots by ISO 8824: 0 to 2, then 0 to 39
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_AGE = re.compile(r"\d{3}[DWMY]")
_DIRECTION = re.compile(r"[APRLHF]{1,3}")
_DELIMITERS = {ord(character) for character in "\r\n\t\f^="}
_LONGEST = 64
_GROUPS, _COMPONENTS = 3, 5  # of a person's name
BROKEN = "\ufffd"


def encodings_of(character_set: str) -> list[str]:
    """Python's names of the encodings in Specific Character Set; [] where it names none that is known.

    ISO_IR 6, the default repertoire, has no bytes above 127 and so says nothing of them: [] too.
    """
    values = [value.strip() for value in character_set.split("\\")]
    found = convert_encodings(values)
    return [] if found == [default_encoding] else found


def decoded(raw: bytes, encodings: list[str]) -> tuple[str, bool]:
    """The text of a value, and whether that is sure; bytes that are none in `encodings` pass for UTF-8 or Latin-1."""
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii"), True
    if encodings:
        text = _as_stated(raw, encodings)
        if BROKEN not in text:
            return text, True
    for guess in ("utf-8", "latin-1"):
        try:
            return raw.decode(guess), False
        except UnicodeDecodeError:
            continue
    raise AssertionError("Latin-1 decodes all bytes")


def _as_stated(raw: bytes, encodings: list[str]) -> str:
    if b"\x1b$" in raw and raw.isascii():
        try:  # pydicom takes a byte of a two-byte character for a delimiter (0x3D, 0x5C, 0x5E)
            return raw.decode("iso2022_jp_2")
        except UnicodeDecodeError:
            pass
    try:
        return decode_bytes(raw, encodings, _DELIMITERS)
    except (LookupError, UnicodeError):
        return BROKEN


_NOT_TEXT = {"Cc", "Cs", "Cn", "Co", "Zl", "Zp"}  # Unicode's categories


def printable(text: str) -> str:
    """The text on one line, without control characters and code points that stand for none, trimmed."""
    kept = (" " if character in "\t\r\n\f" else character for character in text)
    return "".join(character for character in kept if unicodedata.category(character) not in _NOT_TEXT).strip()


def identifier(longest: int) -> Callable[[str], str]:
    """A rule for text that names something: kept whole or not at all, as a part of it may name something else."""

    def rule(text: str) -> str:
        kept = text.strip(" \0")
        return kept if kept == printable(kept) and "\\" not in kept and len(kept) <= longest else ""

    return rule


def description(text: str) -> str:
    """A Long String that describes, at most 64 characters."""
    kept = printable(text.replace("\\", " "))
    return kept if len(kept) <= _LONGEST else _cut(kept)


def person(text: str) -> str:
    """A Person Name: at most 3 groups of 64 characters, of 5 components each.

    One that breaks these rules is cut to the first group, as much of it as fits.
    """
    groups = [[part.strip() for part in group.split("^")] for group in printable(text.replace("\\", " ")).split("=")]
    whole = ["^".join(parts).rstrip("^") for parts in groups]
    if len(groups) <= _GROUPS and all(map(_is_group, groups, whole)):
        return "=".join(whole).rstrip("=")
    first = next((parts for parts in groups if any(parts)), [])
    return _cut("^".join(first[:_COMPONENTS])).rstrip("^ ")


def _is_group(parts: list[str], whole: str) -> bool:
    return len(parts) <= _COMPONENTS and len(whole) <= _LONGEST


def _cut(text: str) -> str:
    """What is cut is cut to 64 bytes, as some receivers count."""
    return text.encode()[:_LONGEST].decode(errors="ignore").strip()


def code_string(text: str) -> str:
    """A Code String in upper case."""
    kept = text.strip(" \0").upper()
    return kept if re.fullmatch(r"[A-Z0-9_ ]{1,16}", kept) else ""


def sex(text: str) -> str:
    """M, F or O."""
    word = code_string(text)
    word = {"MALE": "M", "FEMALE": "F", "OTHER": "O"}.get(word, word)
    return word if word in ("M", "F", "O") else ""


def date(text: str) -> str:
    """YYYYMMDD; dots or hyphens between the parts are taken out."""
    kept = re.sub(r"^(\d{4})[.-](\d{2})[.-](\d{2})$", r"\1\2\3", text.strip(" \0"))
    try:
        return kept if re.fullmatch(r"[0-9]{8}", kept) and datetime.strptime(kept, "%Y%m%d") else ""
    except ValueError:
        return ""


def time(text: str) -> str:
    """HH, HHMM, HHMMSS or HHMMSS.FFFFFF; colons between the parts are taken out."""
    kept = re.sub(r"^(\d{2}):(\d{2})(?::(\d{2}.*))?$", r"\1\2\3", text.strip(" \0"))
    return kept if kept.isascii() and _TIME.fullmatch(kept) else ""


def age(text: str) -> str:
    """An Age String."""
    kept = text.strip(" \0").upper()
    return kept if kept.isascii() and _AGE.fullmatch(kept) else ""


def decimal(text: str) -> str:
    """One Decimal String of a positive number."""
    kept = text.strip(" \0")
    return kept if re.fullmatch(r"[0-9]{1,8}(\.[0-9]{1,7})?", kept) and float(kept) > 0 else ""


def uid(text: str) -> str:
    """A UID; blanks and zero bytes around it are no part of it."""
    kept = text.strip(" \0\t\r\n")
    return kept if len(kept) <= 64 and kept.isascii() and _UID.fullmatch(kept) else ""


def orientation(text: str) -> str:
    """Patient Orientation: two directions (PS3.3 C.7.6.1.1.1), as "L\\F"."""
    parts = [part.strip(" \0").upper() for part in text.split("\\")]
    return "\\".join(parts) if len(parts) == 2 and all(map(_DIRECTION.fullmatch, parts)) else ""


def yes_or_no(text: str) -> str:
    """YES or NO."""
    word = code_string(text)
    return word if word in ("YES", "NO") else ""
