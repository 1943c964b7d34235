"""Text of annotation files and tables: find its encoding and its lines.

Tools write UTF-8 with and without a byte-order mark, UTF-16 (Excel's "Unicode text", Notepad,
PowerShell), encodings that an XML declaration names, and on older Windows cp1252.
"""

from __future__ import annotations

import codecs
import re

from segment2inpaint.errors import BadDataset

_BYTE_ORDER_MARKS = (  # UTF-32 before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_XML_DECLARATION = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)["']""")
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "iso8859-1": "cp1252", "ascii": "utf-8"}
_SAMPLE = 4096  # bytes that show whether a file is UTF-16
_MIN_NULS = 0.6  # of the high bytes of UTF-16 text that is mostly ASCII
_LINE_END = re.compile(r"\r\n|\r|\n")
_HIGH_BYTES = re.compile(rb"[\x80-\xff]+")
_FOREIGN_SIGNS = frozenset("\u0192\u02c6\u2030\u2039\u203a\u02dc")  # in cp1252, not in words
_ESCAPED_BYTES = re.compile("[\udc80-\udcff]+")


def decode_text(data: bytes, name: str) -> str:
    """Return the text of a file without its byte-order mark.

    The encoding is that of the mark, UTF-16 that shows by its NUL bytes, the one that an XML
    declaration names, UTF-8, or cp1252 if the text then has only Western letters. Raises
    ``BadDataset`` that names the file and the byte.
    """
    mark, encoding = wide_encoding(data)
    if mark or encoding:
        return _decode(data, mark, encoding, name)
    declared = _declared_encoding(data)
    if declared:
        try:
            return data.decode(declared)
        except (UnicodeError, LookupError):
            pass  # the declaration is wrong, as that of a file saved again by an editor
    if _is_western(data) and not is_utf8(data):
        return data.decode("cp1252")
    return _decode(data, b"", "utf-8", name)


def decode_lines(data: bytes) -> str:
    """Return the text of a table, of which a damaged line must not cost the others.

    Bytes that fit no encoding are escaped, as by ``surrogateescape``; ``check_decoded`` finds
    them. An incomplete last character of UTF-16 is left out.
    """
    mark, encoding = wide_encoding(data)
    if encoding.startswith(("utf-16", "utf-32")):
        decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        return decoder.decode(data[len(mark) :])
    if _is_western(data) and not is_utf8(data):
        return data.decode("cp1252")
    return data[len(mark) :].decode("utf-8", "surrogateescape")


def check_decoded(text: str) -> None:
    """Raise ``ValueError`` if a line of ``decode_lines`` has bytes that fit no encoding."""
    if match := _ESCAPED_BYTES.search(text):
        got = match[0].encode("utf-8", "surrogateescape")
        raise ValueError(f"expected UTF-8, got {got!r:.40}; save the file as UTF-8")


def split_lines(text: str) -> list[str]:
    """Return the lines of a text without their ends, which are LF, CRLF or CR."""
    lines = _LINE_END.split(text)
    return lines[:-1] if lines[-1] == "" else lines


def wide_encoding(data: bytes) -> tuple[bytes, str]:
    """Return the byte-order mark that a file begins with, and the encoding that it shows.

    Both are empty for text in bytes: UTF-8 without a mark, cp1252 and the like. The beginning of
    the file is enough.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return mark, encoding
    sample = data[:_SAMPLE]
    for first, encoding in ((0, "utf-16-be"), (1, "utf-16-le")):
        high, low = sample[first::2], sample[1 - first :: 2]
        if len(high) > 1 and high.count(0) > _MIN_NULS * len(high) and not low.count(0):
            return b"", encoding
    return b"", ""


def _decode(data: bytes, mark: bytes, encoding: str, name: str) -> str:
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        first = error.start + len(mark)
        raise BadDataset(
            f"{name}: expected {encoding.upper()}, got {error.object[error.start : error.end]!r} "
            f"at byte {first}; save it as UTF-8"
        ) from error


def _declared_encoding(data: bytes) -> str:
    """Return the encoding that an XML declaration names, or a superset of it in real use."""
    match = _XML_DECLARATION.match(data[:_SAMPLE])
    if not match:
        return ""
    try:
        known = codecs.lookup(match[1].decode("ascii")).name
    except LookupError:
        return ""
    return "" if known.startswith(("utf-16", "utf-32")) else _WIDER.get(known, known)


def is_utf8(data: bytes) -> bool:
    """Return whether bytes are valid UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_western(data: bytes) -> bool:
    """Return whether bytes are safely cp1252: words of ASCII with single letters above it.

    Chinese, Japanese, Korean, Cyrillic and Greek encodings show as longer runs of high bytes, or
    as signs that no Western word has.
    """
    return all(
        _is_western_run(match[0], data[max(0, match.start() - 1) : match.end() + 1])
        for match in _HIGH_BYTES.finditer(data)
    )


def _is_western_run(run: bytes, around: bytes) -> bool:
    """Return whether a run of high bytes is one letter or sign, or two letters within a word."""
    try:
        text = run.decode("cp1252")
    except UnicodeDecodeError:
        return False
    if _FOREIGN_SIGNS & set(text) or (len(run) > 1 and is_utf8(run)):
        return False
    neighbours = around.replace(run, b"")
    return len(text) == 1 or (len(text) == 2 and neighbours.isalpha())
