"""``--pairs``: photos, masks and results as a dataset that others can train with."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import Result
from dataset_photos import PHOTO_NAMES, RED_BOX, batch_red, load_photo, output_files
from PIL import Image

from segment2inpaint.dataset import pair_files


def decode(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(data)))


def run_pairs(source: Path, out: Path, kind: str, *more: str) -> Result:
    result = batch_red(source, out, "--pairs", kind, *more)
    assert result.exit_code == 0, result.output
    return result


def read_parquet(out: Path) -> list[dict[str, Any]]:
    from pyarrow import parquet

    files = sorted((out / "pairs/data").iterdir())
    return [row for file in files for row in parquet.read_table(file).to_pylist()]


def read_tars(out: Path) -> list[dict[str, bytes]]:
    """Return the files of each sample of the shards by the part of their name after the key."""
    samples: dict[str, dict[str, bytes]] = {}
    for path in sorted((out / "pairs").glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, name = member.name.partition(".")
                stream = tar.extractfile(member)
                assert stream
                samples.setdefault(key, {})[name] = stream.read()
    return list(samples.values())


def test_parquet_pairs_hold_photo_masks_result_and_verdict(
    photo_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_pairs(photo_folder, out, "hf")
    rows = read_parquet(out)
    assert [row["name"] for row in rows] == sorted(PHOTO_NAMES)
    for row in rows:
        name = row["name"]
        assert row["photo"]["bytes"] == (photo_folder / name).read_bytes()
        assert row["result"]["bytes"] == (out / name).read_bytes()
        found, repainted = decode(row["mask"]["bytes"]), decode(row["effect_mask"]["bytes"])
        assert set(np.unique(found)) == {0, 255}
        x0, y0, x1, y1 = RED_BOX
        assert (found[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1] == 255).all()
        assert (repainted[found == 255] == 255).all()
        assert (repainted > 0).sum() > (found > 0).sum()
        assert row["task"] == "remove"
        assert row["verdict"] == ""  # --no-verify
        assert row["inpainter"] == "telea"
        assert json.loads(row["request"])[0]["prompts"]


@pytest.mark.slow
def test_datasets_loads_the_pairs_with_their_pictures(photo_folder: Path, tmp_path: Path) -> None:
    """The dataset card and the Parquet files say which columns are pictures."""
    datasets = pytest.importorskip("datasets")
    run_pairs(photo_folder, tmp_path / "out", "hf")
    pairs = datasets.load_dataset(
        str(tmp_path / "out/pairs"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(pairs) == 5
    first = pairs[0]
    assert first["name"] == "a.jpg"
    assert first["photo"].size == first["result"].size == first["mask"].size == (64, 48)
    assert (np.asarray(first["result"]) == load_photo(tmp_path / "out/a.jpg")).all()


def test_webdataset_shards_hold_the_same(photo_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_pairs(photo_folder, out, "webdataset")
    samples = read_tars(out)
    assert len(samples) == 5
    for sample, name in zip(samples, sorted(PHOTO_NAMES), strict=True):
        suffix = name.rpartition(".")[2]
        assert sample[f"photo.{suffix}"] == (photo_folder / name).read_bytes()
        assert sample[f"result.{suffix}"] == (out / name).read_bytes()
        assert decode(sample["mask.png"]).shape == decode(sample["effect_mask.png"]).shape
        assert json.loads(sample["json"])["name"] == name


def test_large_pairs_are_split_into_files_of_limited_size(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of a larger earlier call do not stay behind."""
    monkeypatch.setattr(pair_files, "MAX_FILE_BYTES", 1)
    out = tmp_path / "out"
    run_pairs(photo_folder, out, "webdataset")
    assert len(list((out / "pairs").glob("train-*.tar"))) == 5
    assert len(read_tars(out)) == 5
    monkeypatch.setattr(pair_files, "MAX_FILE_BYTES", 10**9)
    run_pairs(photo_folder, out, "hf")
    assert not list((out / "pairs").glob("*.tar"))
    assert len(read_parquet(out)) == 5


def test_the_dataset_card_says_what_the_columns_are(photo_folder: Path, tmp_path: Path) -> None:
    run_pairs(photo_folder, tmp_path / "out", "hf")
    _, head, text = (tmp_path / "out/pairs/README.md").read_text().split("---\n", 2)
    data = yaml.safe_load(head)
    assert data["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*.parquet"}]
    names = {feature["name"] for feature in data["dataset_info"]["features"]}
    assert names == read_parquet(tmp_path / "out")[0].keys()
    assert all(f"| `{name}` |" in text for name in names)
    assert "| `not verified` | 5 |" in text


def test_failed_and_copied_photos_are_no_pairs(photo_folder: Path, tmp_path: Path) -> None:
    (photo_folder / "bad.png").write_bytes(b"no")
    Image.new("RGB", (64, 48)).save(photo_folder / "nothing.png")
    result = batch_red(photo_folder, tmp_path / "out", "--pairs", "hf", "--if-nothing", "copy")
    assert result.exit_code == 3
    assert [row["name"] for row in read_parquet(tmp_path / "out")] == sorted(PHOTO_NAMES)


def test_pairs_change_no_result(photo_folder: Path, tmp_path: Path) -> None:
    batch_red(photo_folder, tmp_path / "plain")
    run_pairs(photo_folder, tmp_path / "out", "hf")
    files = output_files(tmp_path / "out")
    assert {name: data for name, data in files.items() if not name.startswith("pairs/")} == (
        output_files(tmp_path / "plain")
    )


def test_pairs_of_shards_are_written_by_the_join(photo_folder: Path, tmp_path: Path) -> None:
    for shard in ("1/2", "2/2"):
        run_pairs(photo_folder, tmp_path / "out", "hf", "--shard", shard)
        assert not (tmp_path / "out/pairs").exists()
    run_pairs(photo_folder, tmp_path / "out", "hf", "--join")
    run_pairs(photo_folder, tmp_path / "whole", "hf")
    assert read_parquet(tmp_path / "out") == read_parquet(tmp_path / "whole")


def test_pairs_need_the_masks(photo_folder: Path, tmp_path: Path) -> None:
    result = batch_red(photo_folder, tmp_path / "out", "--pairs", "hf", "--no-masks")
    assert result.exit_code == 1
    assert "pairs need the masks" in result.stderr
