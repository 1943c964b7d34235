"""The manifest of a run, and its results as a Hugging Face dataset."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from dataset_photos import RED_BOX, batch_red, load_photo, read_manifest

from segment2inpaint import dataset


def test_the_manifest_has_a_row_for_each_object(photo_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    batch_red(photo_folder, out)
    rows = read_manifest(out)
    assert [row["output"] for row in rows] == sorted(row["output"] for row in rows)
    assert {row["status"] for row in rows} == {"done"}
    assert {row["changed_outside"] for row in rows if not row["output"].endswith(".jpg")} == {0}
    assert rows[0]["box"] == list(RED_BOX)
    for row in rows:
        before, after = load_photo(row["photo"]), load_photo(out / row["output"])
        outside = load_photo(out / row["mask"])[..., 0] == 0
        assert row["changed_outside"] == ((before != after).any(axis=2) & outside).sum()
        data = (out / row["output"]).read_bytes()
        assert row["output_sha256"] == hashlib.sha256(data).hexdigest()
        assert row["photo_sha256"] == hashlib.sha256(Path(row["photo"]).read_bytes()).hexdigest()


def test_jsonl_and_parquet_manifests_agree(photo_folder: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    out = tmp_path / "out"
    batch_red(photo_folder, out)
    parquet_rows = parquet.read_table(out / "manifest.parquet").to_pylist()
    for parquet_row, jsonl_row in zip(parquet_rows, read_manifest(out), strict=True):
        assert json.loads(parquet_row["request"]) == jsonl_row["request"]
        assert json.loads(parquet_row["timings"]) == jsonl_row["timings"]
        assert parquet_row["box"] == jsonl_row["box"]
        assert parquet_row["key"] == jsonl_row["key"]


def test_to_hf_returns_a_dataset_with_pictures(photo_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="Hugging Face datasets are not installed")
    batch_red(photo_folder, tmp_path / "out")
    results = dataset.to_hf(tmp_path / "out")
    assert len(results) == 5
    row = results[1]
    assert row["image"].size == (64, 48)
    assert (np.asarray(row["image"]) == load_photo(tmp_path / "out" / row["output"])).all()
    assert np.asarray(row["mask"]).max() == 255
