"""Words for the chest, in whatever language, character set and state they arrive."""

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lunglens.film.reading.body_part import is_chest, is_not_frontal, is_silent, readable

# Values that public reports and data sets show on chest films, and their like in other languages.
CHEST_WORDS = (
    "CHEST|THORAX|TÓRAX|TÒRAX|TORACE|TORAX|TORAKS|PECHO|PEITO|POITRINE|BRUST|BRUSTKORB|BORSTKAS|CXR|RIBS|STERNUM|TRUNK|"
    "HEART|LUNGS|LUNGE|PULMON|PULMÓN|PULMÃO|POUMONS|POLMONI|LONGEN|COSTILLAS|CÔTES|RIPPEN|KLATKA PIERSIOWA|PŁUCA|"
    "HRUDNÍK|PLÍCE|GÖĞÜS|AKCİĞER|BRÖSTKORG|BRYSTKASSE|BRØST|RINTAKEHÄ|MELLKAS|TÜDŐ|GRUDNI KOŠ|DADA|NGỰC|ΘΩΡΑΚΑΣ|"
    "ГРУДНАЯ КЛЕТКА|ЛЁГКИЕ|ОГК|胸部|胸部正位|肺|흉부|가슴|キョウブ|CHESTABDOMEN|ABDOMEN CHEST|MEDIASTINUM|CORAÇÃO|HERZ|"
    "HJERTE|PLAUČIAI|PLAUŠAS|KRŪŠKURVIS|ПЛЮЧА|БЯЛ ДРОБ|ГРЪДЕН КОШ|ФЛЮОРОГРАФИЯ|きょうぶ|رئة|قفسه سینه|ריאות|वक्ष|ปอด"
)
OTHER_WORDS = (
    "SKULL|ABDOMEN|ABDOME|HAND|MÃO|FOOT|LEG|LONG LEG|EXTREMITY|KNEE|GENOU|RODILLA|KNIE|PELVIS|BECKEN|HIP|NECK|HEAD|"
    "BREAST|SHOULDER|CLAVICLE|KUB|LSPINE|TSPINE|THORACIC SPINE|THORACOLUMBAR|BRUSTWIRBELSÄULE|COLUMNA TORACICA|"
    "RACHIS THORACIQUE|腹部|骨盆|КИСТЬ|ЧЕРЕП|TOE R AX|WRIST|FEMUR|SCHÄDEL|TÊTE|DENTAL|WHOLE BODY"
)
CHEST, OTHER = CHEST_WORDS.split("|"), OTHER_WORDS.split("|")
LATIN = [word for word in CHEST if word.isascii() and word.isalpha() and len(word) >= 4]
ACCENTS = "\u0300\u0301\u0302\u0303\u0308\u030c"


@pytest.mark.parametrize("word", CHEST)
@pytest.mark.parametrize(
    "charset",
    [
        "utf-8",
        "latin-1",
        "gb18030",
        "big5",
        "shift_jis",
        "euc_jp",
        "euc_kr",
        "cp1251",
        "cp866",
        "cp1253",
        "cp1254",
        "cp1255",
        "cp1256",
        "tis-620",
    ],
)
def test_a_chest_in_any_language_and_character_set(word: str, charset: str) -> None:
    try:
        encoded = word.encode(charset)
    except UnicodeEncodeError:
        return
    assert is_chest(encoded)
    assert is_chest(word.lower().encode()) or word != word.lower().upper()
    assert not is_silent(encoded)


@pytest.mark.parametrize("word", OTHER)
@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "gb18030", "cp1251", "koi8_r", "cp1250", "shift_jis"])
def test_another_part_is_not_the_chest(word: str, charset: str) -> None:
    encoded = word.encode(charset, "ignore")
    if encoded:
        assert not is_chest(encoded)
        assert not is_silent(encoded)


@given(st.sampled_from(LATIN), st.data())
def test_one_broken_letter_is_any_letter(word: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(word) - 1))
    broken = data.draw(
        st.sampled_from(
            [b"?", b"_", b"\xef\xbf\xbd", b"\xd3", b"\xc3\x93", "Ã“".encode(), b"\xe0", b"??", b"\x93", b"0"]
        )
    )
    assert is_chest(word[:at].encode() + broken + word[at + 1 :].encode())


@given(st.sampled_from(LATIN), st.data())
def test_accents_do_not_matter(word: str, data: st.DataObject) -> None:
    at, accent = data.draw(st.integers(0, len(word) - 1)), data.draw(st.sampled_from(ACCENTS))
    text = unicodedata.normalize("NFC", word[: at + 1] + accent + word[at + 1 :])
    assume(len(text) == len(word))
    once = text.encode()
    assert is_chest(once)
    assert is_chest(once.decode("latin-1").encode())  # UTF-8 taken for Latin-1, and written as UTF-8 again


@given(
    st.sampled_from(LATIN),
    st.sampled_from(["", "2- ", "01_", "1.", "RX ", "PORT/", "2-"]),
    st.sampled_from(["", "_PA", " AP", "^LAT", "-2V", ",ABDOMEN", "\\ABDOMEN", "\0", " "]),
    st.booleans(),
)
def test_numbers_and_signs_around_the_word(word: str, before: str, after: str, lower: bool) -> None:
    text = before + word + after
    assert is_chest((text.lower() if lower else text).encode())


@given(st.text("?_-~*# 0123456789\0", max_size=12))
def test_signs_alone_are_silent_and_no_chest(text: str) -> None:
    assert is_silent(text.encode())
    assert not is_chest(text.encode())


@given(st.binary(max_size=80))
def test_no_bytes_fail(text: bytes) -> None:
    said = readable(text)
    assert len(said) <= 64
    assert said.isprintable()
    assert is_chest(text) in (True, False)
    assert is_silent(text) in (True, False)
    assert is_not_frontal(text) in (True, False)


@pytest.mark.parametrize(
    "word", ["", " ", "\0", "UNKNOWN", "Other", "N/A", "--", "Not specified", "PORTABLE", "X-RAY", "PA"]
)
def test_what_names_no_part_is_silent(word: str) -> None:
    assert is_silent(word.encode())


SIDE = "LL|RL|L|R|LAT|LATERAL|Left Lateral|LLAT|LLD|RLD|RLO|LAO|PERFIL|PROFIL|SEITLICH|PA_LAT|OBLIQUE|DECUBITUS|側面"
FRONTAL = "|PA|AP|AP SUPINE|PA ERECT|AP LORDOTIC|A.P.|ANTERO-POSTERIOR|POSTERO_ANTERIOR|FRONTAL|BILATERAL AP|P A|DORSAL"


@pytest.mark.parametrize("view", SIDE.split("|"))
def test_views_from_the_side(view: str) -> None:
    assert is_not_frontal(view.encode())


@pytest.mark.parametrize("view", FRONTAL.split("|"))
def test_frontal_views(view: str) -> None:
    assert not is_not_frontal(view.encode())
