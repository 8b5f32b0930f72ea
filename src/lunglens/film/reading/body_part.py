"""What the words in a header say of a film: the chest, another part of the body, a view that is not frontal.

Real headers hold these words in any language, with accents as bytes of any character set or lost on the way, numbered,
joined or abbreviated. So one rule reads them all: a known word anywhere in the text, in any reading of its bytes, where
one character that is no plain letter may stand for any letter.
"""

import re
import unicodedata
from functools import cache

# Stems, accents folded: each stands for all words that hold it (THORA: thorax, thoracic, thoracale, thorakas ...).
_CHEST_STEMS = """
    CHEST CHST CXR THORA THX TORAX TORAC TORAK TRUNK TRONC TORSO RUMPF RIB RIBS COSTIL COSTE COSTAL COTES RIPPE ZEBRA
    ZEBER STERNUM STERNAL ESTERNO BREASTBONE LUNG PULMO POUMON POLMON LONGEN PLUCA PLUCN PLIC KEUHKO AKCIGER PHOI PARU
    TUDO PLEUR MEDIAST HEART CARDI HERZ COEUR CORAZON CORACAO CUORE SERCE SRDCE KALP PECHO PEITO PETTO POITRINE BRUST
    BORST BRYST BROST RINTA PIERS HRUD GRUD PIEPT PLAMAN KRUT PRSNI MELLKAS GOGUS DADA NGUC ΘΩΡΑΚ ΠΝΕΥΜ ΣΤΗΘ ГРУД
    ТОРАКС ЛЕГК ЛЕГЕН РЕБР ОГК СЕРДЦ 胸 肺 キョウブ 가슴 흉 폐 صدر חזה छाती ทรวงอก
    HJERTE PLAUC PLAUS KRUSK ПЛЮЧ ДРОБ ГРЪД ФЛЮОРОГ きょうぶ رئة سینه ریه ריאות वक्ष ปอด
"""  # noqa: RUF001 - not Latin letters by mistake
_SPINE_STEMS = (
    "SPINE SPINA COLUMN COLONN WIRBEL RACHIS VERTEB WERVEL BROSTRYGG LUMBA LOMBA KREGO PATER OMURGA ПОЗВ 椎 척추"
)
_SIDE_STEMS = "LAT PERFIL PROFIL SEIT OBL DECUB SCHRAG БОКОВ ΠΛΑΓ 側 侧"
_SIDE_CODES = re.compile(r"^[LR]$|(?<![A-Z])(?:[LR]L|[LR]LAT|[LR]L[DO]|[LR][AP]O)(?![A-Z])")  # PS3.3 C.8.1.2.1.1
_SILENT_WORDS = """
    UNKNOWN OTHER NONE NULL N A NA UNDEFINED UNSPECIFIED NOT SPECIFIED APPLICABLE DEFAULT GENERAL ROUTINE STANDARD MISC
    VARIOUS PORTABLE PORT BEDSIDE ANONYMIZED ANONYMISED REMOVED RX CR DX DR XR X RAY XRAY PA AP
"""
# What the bytes may be: SpecificCharacterSet does not hold for code strings (PS3.5 6.1.2.2), and is often wrong.
_CODECS = """
    utf-8 gb18030 big5 shift_jis iso2022_jp_2 euc_jp euc_kr cp1251 iso8859_5 koi8_r cp866 cp1253 cp1254 cp1255 cp1256
    tis-620 cp850 latin-1
"""
_LETTERS = str.maketrans({"Ø": "O", "Đ": "D", "Ł": "L", "\u0131": "I", "Æ": "AE", "Œ": "OE", "Þ": "TH"})
BROKEN = "~"


def is_chest(text: bytes) -> bool:
    """Whether the text names the chest, or what a chest radiograph shows; the thoracic spine is not the chest."""
    return _names(text, _CHEST_STEMS) and not _names(text, _SPINE_STEMS)


def is_silent(text: bytes) -> bool:
    """Whether the text names no part of the body at all: empty, "UNKNOWN", only signs or digits."""
    try:
        readings = [_fold(text.decode())]
    except UnicodeDecodeError:
        readings = _readings(text)[1:]
    return set(_SILENT_WORDS.split()).issuperset(re.findall(r"[^\W\d_]+", " ".join(readings)))


def is_not_frontal(text: bytes) -> bool:
    """Whether the text names a view from the side: lateral, oblique, or lying on the side."""
    return _names(text, _SIDE_STEMS) or any(map(_SIDE_CODES.search, _readings(text)))


def readable(text: bytes) -> str:
    """The text in upper case and at most 64 characters, each printable; UTF-8 where it is that, else Latin-1."""
    try:
        letters = text.decode()
    except UnicodeDecodeError:
        letters = text.decode("latin-1")
    return "".join(letter if letter.isprintable() else "?" for letter in letters.strip("\0 ").upper())[:64].strip()


def _fold(text: str) -> str:
    """Upper case without accents."""
    letters = unicodedata.normalize("NFKD", text.upper().translate(_LETTERS))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _readings(text: bytes) -> list[str]:
    """All that the text may mean, folded; first with each run of what is no plain letter as one broken letter."""
    found = [re.sub("[^A-Z]+", BROKEN, text.upper().decode("latin-1"))]
    for codec in _CODECS.split():
        try:
            found.append(_fold(text.decode(codec)))
        except (UnicodeDecodeError, ValueError):
            continue
    return found


def _names(text: bytes, stems: str) -> bool:
    return any(map(_matcher(stems).search, _readings(text)))


@cache
def _matcher(stems: str) -> re.Pattern[str]:
    """Matches any of the stems, with one broken letter in those of 4 letters and more; short ones begin a word."""
    patterns = []
    for stem in _fold(stems).split():
        start = "(?<![A-Z])" if len(stem) < 5 and stem.isascii() else ""
        broken = range(len(stem)) if len(stem) > 3 and stem.isascii() else ()
        patterns += [start + stem, *(f"{start}{stem[:at]}{BROKEN}{stem[at + 1 :]}" for at in broken)]
    return re.compile("|".join(patterns))
