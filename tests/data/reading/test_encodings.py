import io
from pathlib import Path

import pytest

from luthier.data.reading.encodings import detect_encoding, known_encoding
from luthier.errors import ConfigError

CHINESE = "公司第三季度净利润同比增长百分之二十，股价上涨。\n董事会批准了新的回购计划。\n"
WESTERN = "Der Gewinn fiel auf zwölf Millionen\nLa société générale a publié ses résultats\n"


def detected(data: bytes) -> str | None:
    return detect_encoding(io.BytesIO(data))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "utf-8"),
        (b"plain words\n", "utf-8"),
        (CHINESE.encode(), "utf-8"),
        (CHINESE.encode("utf-8-sig"), "utf-8-sig"),
        (CHINESE.encode("utf-16"), "utf-16"),
        (b"text,label\n".decode().encode("utf-16-le"), "utf-16-le"),
        (b"text,label\n".decode().encode("utf-16-be"), "utf-16-be"),
        (CHINESE.encode("gb18030"), "gb18030"),
        (WESTERN.encode("latin-1"), "latin-1"),
        ("“Übernahme” für 3 €\n".encode("cp1252"), "cp1252"),
    ],
)
def test_detects_what_text_is_written_in(data: bytes, expected: str) -> None:
    assert detected(data) == expected


def test_one_broken_line_does_not_make_utf8_something_else() -> None:
    assert detected(CHINESE.encode() * 3 + b"broken \xff\xfe line\n") == "utf-8"


def test_bytes_that_are_in_no_language_are_left_to_utf8() -> None:
    assert detected(b"plain\nbroken \xff\xfe\xfd line\nplain\n") == "utf-8"


def test_a_character_cut_by_the_chunk_is_not_an_error() -> None:
    assert detected(("a" * 8191 + "é" * 10).encode()) == "utf-8"


def test_binary_is_no_text() -> None:
    assert detected(bytes(range(256)) * 64) is None


def test_text_with_one_stray_nul_is_text() -> None:
    assert detected(b"shares rose\n" * 100 + b"a\0b\n") == "utf-8"


def test_detection_is_of_the_whole_file() -> None:
    assert detected(b"plain ascii line\n" * 100_000 + WESTERN.encode("latin-1")) == "latin-1"


def test_declared_encodings_are_normalised_or_refused() -> None:
    assert known_encoding("Latin-1") == "iso8859-1"
    with pytest.raises(ConfigError, match="no encoding 'utf-9'"):
        known_encoding("utf-9")


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "encoding"),
    [
        ("financial_phrasebank/Sentences_AllAgree.txt", "utf-8"),
        ("financial_phrasebank/Sentences_75Agree.txt", "latin-1"),
        ("financial_phrasebank/Sentences_66Agree.txt", "latin-1"),
        ("financial_phrasebank/Sentences_50Agree.txt", "latin-1"),
        ("sentfin/SEntFiN.csv", "utf-8"),
    ],
)
def test_real_sets(shared_data: Path, file: str, encoding: str) -> None:
    assert detected((shared_data / file).read_bytes()) == encoding


@pytest.mark.real
def test_real_gb18030_set(shared_data: Path) -> None:
    [file] = (shared_data / "cn_medical_dialogue_sample").glob("*.csv")
    assert detected(file.read_bytes()) == "gb18030"
