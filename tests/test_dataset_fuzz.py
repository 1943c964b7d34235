"""Datasets with one damaged record: it is told, the others are edited, nothing crashes."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    RED_HEX,
    batch,
    draw_photo,
    load_photo,
    output_photos,
)
from dataset_samples import SAMPLES
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from segment2inpaint.dataset.names import is_photo

QUICK, LONG = 12, 60  # examples of each format
NO_PROMPT = ("--skip-invalid", *FAST_OPTIONS, *NO_WORKERS)
DEEP: Any = [1]
for _ in range(80):
    DEEP = [DEEP]
JUNK = st.sampled_from([
    None, True, False, 0, -1, 3, 0.5, 1e300, -1e300, 2**31, 2**63, -(2**63), 10**400,
    float("nan"), float("inf"), float("-inf"), "", " ", "x", "7", "1e9", "nan", "null", "good",
    "\ud83d", "a\0b", "Ä\u0301", "\\", "..\\..\\x.png", "../../x.png", "/", ".", "x/y.png",
    "http://[", "none://x.png", "x.png#1+2", "x.parquet#row=1,image", "x" * 300, "y" * 150_000,
    [], {}, [[]], [None], [{}], ["a"], {"a": 1}, [1, 2], [[1, 2]], [[0, 0, 0, 0]], DEEP,
    {"size": [5, 5], "counts": "x"}, [[1e300] * 6], [[float("nan")] * 6],
])  # fmt: skip
BYTES = st.sampled_from([
    b"", b"\0", b"\xff", b"\xe9", b"\xb9\xb7\xb6\xaf", b"\xef\xbb\xbf", b"\xff\xfe", b"\r", b'"',
    b"{", b"[" * 5000, b"<", b"&", b"nan ", b"-", b"9" * 500, b" ", b"\t", b"\\", b"\xed\xa0\xbd",
])  # fmt: skip
ENCODINGS = ("utf-16", "utf-16-le", "utf-8-sig", "utf-32", "utf-7")


def places(record: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths to all values in JSON data."""
    yield path
    keys = record.keys() if isinstance(record, dict) else ()
    keys = range(len(record)) if isinstance(record, list) else keys
    for key in keys:
        yield from places(record[key], (*path, key))


def damaged(draw: st.DataObject, record: Any) -> Any:
    """Return a copy of JSON data with one value replaced, removed, repeated or of another type."""
    record = copy.deepcopy(record)
    path = draw.draw(st.sampled_from(list(places(record))), "place")
    if not path:
        return copy.deepcopy(draw.draw(JUNK, "record"))
    parent = record
    for key in path[:-1]:
        parent = parent[key]
    value = parent[path[-1]]
    change = draw.draw(st.sampled_from(["junk", "junk", "junk", "gone", "text", "list", "twice"]))
    if change == "gone":
        del parent[path[-1]]
        return record
    changed = {"text": str(value), "list": [value], "twice": [value, value]}
    parent[path[-1]] = changed[change] if change in changed else draw.draw(JUNK, "value")
    return record


def spoiled(draw: st.DataObject, data: bytes) -> bytes:
    """Return bytes with some inserted, replaced or cut off, or in another encoding."""
    change = draw.draw(st.sampled_from(["insert", "replace", "cut", "encode"]))
    start = draw.draw(st.integers(0, len(data)), "start")
    if change == "cut":
        return data[:start]
    if change == "encode":
        text = data.decode("utf-8", "replace")
        return text.encode(draw.draw(st.sampled_from(ENCODINGS)), "replace")
    end = start + draw.draw(st.integers(0, 20), "length") * (change == "replace")
    return data[:start] + draw.draw(BYTES, "bytes") + data[end:]


def edited_photos(out: Path) -> list[str]:
    """Return the names of the photos in an output folder that differ from the sample."""
    names = [name for name in output_photos(out) if is_photo(name)]
    return [name for name in names if (load_photo(out / name) != draw_photo()).any()]


def check(result: Result, out: Path) -> None:
    """The good photo is edited, nothing crashes, and no message is longer than a screen."""
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    assert "Traceback" not in result.output
    assert result.exit_code in (0, 3), result.output
    assert all(len(line) < 2000 for line in result.output.splitlines())
    good = [name for name in edited_photos(out) if name.endswith(("good.png", "000000.png"))]
    assert len(good) == 1, result.output


def fuzz(name: str, examples: int, *, bytes_too: bool) -> None:
    """Damage the record of a sample dataset in many ways, and run ``batch`` over each."""
    keep: Callable[[Any], Any] = lambda value: value  # noqa: E731

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
    )  # fmt: skip
    @given(st.data())
    def run(draw: st.DataObject) -> None:
        with tempfile.TemporaryDirectory() as folder:
            spoils = bytes_too and draw.draw(st.booleans(), "bytes")
            damage = keep if spoils else (lambda record: damaged(draw, record))
            spoil = (lambda data: spoiled(draw, data)) if spoils else keep
            source = SAMPLES[name](Path(folder, "in"), damage, spoil)
            prompt = ("--color", RED_HEX) if name == "photo_folder" else ()
            result = batch(source, Path(folder, "out"), *prompt, *NO_PROMPT)
            check(result, Path(folder, "out"))

    run()


ONE_FILE = ("coco", "coco_rle", "cvat", "label_studio", "via")  # bytes of a record are the file's


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sound_dataset_is_edited(name: str, tmp_path: Path) -> None:
    """The samples are sound before they are damaged."""
    source = SAMPLES[name](tmp_path / "in", lambda record: record, lambda data: data)
    prompt = ("--color", RED_HEX) if name == "photo_folder" else ()
    result = batch(source, tmp_path / "out", *prompt, *FAST_OPTIONS, *NO_WORKERS)
    assert result.exit_code == 0, result.output
    assert len(edited_photos(tmp_path / "out")) == 2


@pytest.mark.parametrize("name", SAMPLES)
def test_one_damaged_record_costs_nothing_but_itself(name: str) -> None:
    fuzz(name, QUICK, bytes_too=name not in ONE_FILE)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_many_damaged_records_cost_nothing_but_themselves(name: str) -> None:
    fuzz(name, LONG, bytes_too=name not in ONE_FILE)


@pytest.mark.parametrize("name", [*ONE_FILE, "jsonl", "csv_table", "webdataset"])
@pytest.mark.parametrize("data", [b"", b"\0\0", b"\xff\xfe", b"[" * 5000, b"{}", b"[]", b"null",
                                  b"\xe9\xe8\xe7\xe6"])  # fmt: skip
def test_a_damaged_file_is_told_in_a_line(name: str, data: bytes, tmp_path: Path) -> None:
    """Where all records are in one file that cannot be read, nothing is done, and it says so."""
    source = SAMPLES[name](tmp_path / "in", lambda record: record, lambda data: data)
    source.write_bytes(data)
    result = batch(source, tmp_path / "out", *NO_PROMPT)
    assert isinstance(result.exception, SystemExit), result.output
    assert result.exit_code == 1, result.output
    assert source.name in result.stderr
