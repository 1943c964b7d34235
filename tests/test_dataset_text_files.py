"""Encodings and line ends of annotation files and tables."""

from __future__ import annotations

import codecs

import pytest

from segment2inpaint.dataset.text_files import decode_text, split_lines
from segment2inpaint.errors import BadDataset

TEXT = 'photo,label\r\n"Größe café.png",Straße\r\n'


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"],
)
def test_every_usual_encoding_gives_the_same_text(encoding: str) -> None:
    """With and without a byte-order mark, and on old Windows."""
    assert decode_text(TEXT.encode(encoding), "t.csv") == TEXT


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE])
def test_big_endian_marks_are_known(mark: bytes) -> None:
    """The mark says the order of bytes and is no part of the text."""
    encoding = "utf-16-be" if len(mark) == 2 else "utf-32-be"
    assert decode_text(mark + TEXT.encode(encoding), "t.csv") == TEXT


@pytest.mark.parametrize("name", ["gb2312", "GBK", "Shift_JIS", "euc-kr", "windows-1251"])
def test_the_encoding_of_an_xml_declaration_is_used(name: str) -> None:
    """VOC files of other countries declare theirs."""
    words = {"Shift_JIS": "かな", "euc-kr": "개", "windows-1251": "кошка"}.get(name, "猫狗")
    text = f'<?xml version="1.0" encoding="{name}"?><name>{words}</name>'
    assert decode_text(text.encode(name), "a.xml") == text


@pytest.mark.parametrize("declared", ["UTF-16", "utf-8", "no-such-encoding", "rot13"])
def test_a_wrong_declaration_does_not_spoil_the_text(declared: str) -> None:
    """An editor saved the file again and left the declaration."""
    text = f"<?xml version='1.0' encoding='{declared}'?><name>Müll</name>"
    assert decode_text(text.encode(), "a.xml") == text
    assert decode_text(text.encode("cp1252"), "a.xml") == text


@pytest.mark.parametrize(
    "data",
    [
        '{"label": "小狗"}'.encode("gb2312"),
        '{"label": "дом"}'.encode("cp1251"),
        '{"label": "ねこ"}'.encode("shift_jis"),
        '{"label": "고양이"}'.encode("euc-kr"),
        '{"label": "café 猫"}'.encode() + b"\xe9",
        "naïve ".encode() + b"caf\xe9",
    ],
)
def test_text_that_is_not_safely_western_is_refused_with_its_byte(data: bytes) -> None:
    """A guess would make other names of it."""
    with pytest.raises(BadDataset, match=r"^t\.json: expected UTF-8, got .* at byte \d+; save"):
        decode_text(data, "t.json")


def test_a_truncated_file_of_utf_16_names_the_byte() -> None:
    """Half a character at the end."""
    with pytest.raises(BadDataset, match=r"expected UTF-16-LE, .* at byte 8"):
        decode_text(codecs.BOM_UTF16_LE + "abc".encode("utf-16-le") + b"x", "t.csv")


def test_nul_bytes_alone_do_not_make_utf_16() -> None:
    """A damaged UTF-8 file keeps its text."""
    assert decode_text(b"a\0b,c\n\0\0d", "t.csv") == "a\0b,c\n\0\0d"


def test_lines_end_in_any_of_three_ways_and_nowhere_else() -> None:
    """A form feed or a Unicode line separator is part of a label."""
    assert split_lines("a\nb\r\nc\rd") == ["a", "b", "c", "d"]
    assert split_lines("a\n\nb\n") == ["a", "", "b"]
    assert split_lines("x\u2028y\x0cz\x85") == ["x\u2028y\x0cz\x85"]
    assert split_lines("") == []
