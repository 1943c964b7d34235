"""A run resumes: only unfinished and changed photos are processed."""

from __future__ import annotations

import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    PHOTO_NAMES,
    RED_HEX,
    batch,
    batch_red,
    is_square_removed,
    modification_times,
    output_files,
    output_photos,
    read_manifest,
    rows_without_times,
    save_photo,
    write_rows,
)

from segment2inpaint.dataset import results_log


def test_a_second_run_processes_nothing(photo_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    batch_red(photo_folder, out)
    before, manifest = modification_times(out), (out / "manifest.parquet").read_bytes()
    assert batch_red(photo_folder, out).exit_code == 0
    assert modification_times(out) == before
    assert (out / "manifest.parquet").read_bytes() == manifest


def test_only_changed_photos_are_processed_again(photo_folder: Path, tmp_path: Path) -> None:
    """These are a changed photo or row, and a deleted or truncated output, but not a newer date."""
    out = tmp_path / "out"
    rows: list[dict[str, object]] = [{"photo": name, "colors": RED_HEX} for name in PHOTO_NAMES]
    source = write_rows(photo_folder / "r.jsonl", *rows)
    batch(source, out, *FAST_OPTIONS, *NO_WORKERS)
    before = modification_times(out)
    save_photo(photo_folder / "a.png", 40)
    os.utime(photo_folder / "a.jpg")
    rows[2]["seed"] = 1
    write_rows(source, *rows)
    (out / "y/photo.jpg").unlink()
    (out / "z/Ä b.bmp").write_bytes(b"half")
    assert batch(source, out, *FAST_OPTIONS, *NO_WORKERS).exit_code == 0
    after = modification_times(out)
    assert {name for name in output_photos(out) if after[name] != before[name]} == {
        "a.png", "x/photo.jpg", "y/photo.jpg", "z/Ä b.bmp"
    }  # fmt: skip
    assert is_square_removed(out / "z/Ä b.bmp")
    fresh = tmp_path / "fresh"
    batch(source, fresh, *FAST_OPTIONS, *NO_WORKERS)
    assert output_files(out) == output_files(fresh)
    assert rows_without_times(out) == rows_without_times(fresh)


def test_failed_photos_are_not_retried_unless_they_change(
    photo_folder: Path, tmp_path: Path
) -> None:
    (photo_folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnot")
    out = tmp_path / "out"
    result = batch_red(photo_folder, out)
    assert result.exit_code == 3
    assert "bad.png" in result.stderr
    assert [r["status"] for r in read_manifest(out) if r["output"] == "bad.png"] == ["failed"]
    again = batch_red(photo_folder, out)
    assert again.exit_code == 3
    assert "failed: " not in again.stderr
    assert "1 failed" in again.stderr
    (photo_folder / "bad.png").write_bytes((photo_folder / "a.png").read_bytes())
    assert batch_red(photo_folder, out).exit_code == 0


def test_retry_failed_processes_failed_photos_again(photo_folder: Path, tmp_path: Path) -> None:
    (photo_folder / "bad.png").write_bytes(b"no")
    batch_red(photo_folder, tmp_path / "out")
    result = batch_red(photo_folder, tmp_path / "out", "--retry-failed")
    assert result.exit_code == 3
    assert "failed: " in result.stderr


def test_an_incomplete_last_record_is_ignored(photo_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    batch_red(photo_folder, out)
    (file,) = (out / ".segment2inpaint/ledger").iterdir()
    file.write_bytes(file.read_bytes()[:-30])
    assert len(list(results_log.read_records(str(out)))) == 4
    before = modification_times(out)
    assert batch_red(photo_folder, out).exit_code == 0
    after = modification_times(out)
    changed = [name for name in after if after[name] != before[name]]
    assert len(changed) == 2  # one photo and its mask
    assert len(read_manifest(out)) == 5


def test_an_output_folder_of_an_earlier_version_is_resumed(tmp_path: Path) -> None:
    """The record has the keys, the job key and the detector name of the first release."""
    photo, out = save_photo(tmp_path / "in/a.png"), tmp_path / "out"
    result = b"written by the earlier run"
    log = out / ".segment2inpaint/ledger/000001-0123456789abcdef.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps(earlier_record(photo, result)) + "\n")
    (out / "a.png").write_bytes(result)
    options = ("-b", "18,14,34,30", "--no-masks", *FAST_OPTIONS, *NO_WORKERS)
    assert batch(tmp_path / "in", out, *options).exit_code == 0
    assert (out / "a.png").read_bytes() == result
    (row,) = read_manifest(out)
    assert row["detector"] == "grabcut"
    assert row["version"] == version("segment2inpaint")


def test_records_have_the_keys_of_the_first_release(photo_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    batch_red(photo_folder, out)
    earlier = earlier_record(photo_folder / "a.png", b"")
    for record in results_log.read_records(str(out)):
        assert list(record) == list(earlier)
        assert set(earlier["rows"][0]) <= set(record["rows"][0])


def earlier_record(photo: Path, result: bytes) -> dict[str, Any]:
    """Return a record as the first release wrote it for the photo ``a.png``."""
    refine = {
        "dilate": "auto", "feather": "auto", "fill_holes": True, "invert": False, "shadow": None,
        "edge_refine": True,
    }  # fmt: skip
    fill = {
        "prompt": None, "negative_prompt": None, "num_inference_steps": None,
        "guidance_scale": None, "strength": None, "seed": 0, "padding_mask_crop": None,
        "candidates": 1,
    }  # fmt: skip
    request = {
        "prompts": [{"box": [18, 14, 34, 30]}], "refine": refine, "fill": fill,
        "detector": "grabcut", "inpainter": "telea", "verify": False, "attempts": 2,
    }  # fmt: skip
    key = earlier_key(request)
    digest = hashlib.sha256(photo.read_bytes()).hexdigest()
    row = {
        "photo": str(photo), "output": "a.png", "where": "a.png", "id": "", "label": "",
        "status": "done", "error": "", "request": request, "mask": "", "verdict": None,
        "checks": {}, "attempts": 1, "box": [20, 16, 32, 28], "area": 144, "changed": 472,
        "changed_outside": 0, "detector": "grabcut", "inpainter": "telea", "versions": {},
        "output_sha256": hashlib.sha256(result).hexdigest(), "mask_sha256": "", "timings": {},
        "photo_sha256": digest, "key": key, "seconds": 0.3,
    }  # fmt: skip
    return {
        "photo": str(photo), "output": "a.png", "key": key, "status": "done", "error": "",
        "verdict": None, "seconds": 0.3, "inputs": [["", digest]],
        "written": {"a.png": len(result)}, "trace": "", "rows": [row],
    }  # fmt: skip


def earlier_key(request: dict[str, Any]) -> str:
    """Return the key that the first release computed for a job with one request."""
    data = {
        "version": version("segment2inpaint"),
        "requests": [json.dumps(request, sort_keys=True)],
        "objects": [["", ""]],
        "settings": ["", None, "fail", False, False, "auto", None],
    }
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
