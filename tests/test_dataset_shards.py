"""Photos in Hugging Face tables and WebDataset tar files."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    RED_BOX,
    batch,
    batch_red,
    is_square_removed,
    output_photos,
    read_manifest,
    red_mask,
    save_photo,
)
from PIL import Image

X0, Y0, X1, Y1 = RED_BOX
OPTIONS = (*FAST_OPTIONS, *NO_WORKERS)


def test_annotated_rows_of_a_hugging_face_dataset_are_edited(tmp_path: Path) -> None:
    """``datasets`` writes pictures and objects to Parquet, or a folder of Arrow files."""
    datasets = pytest.importorskip("datasets", reason="Hugging Face datasets are not installed")
    save_photo(tmp_path / "a.jpg")
    save_photo(tmp_path / "b.png", 3)
    features = datasets.Features({
        "image": datasets.Image(),
        "objects": {
            "bbox": datasets.Sequence(datasets.Sequence(datasets.Value("float32"), length=4)),
            "category": datasets.Sequence(datasets.ClassLabel(names=["dog", "cat"])),
        },
    })  # fmt: skip
    objects = [
        {"bbox": [[X0, Y0, 12, 12], [40, 30, 16, 14]], "category": [0, 1]},
        {"bbox": [], "category": []},
    ]
    rows = {"image": [str(tmp_path / "a.jpg"), str(tmp_path / "b.png")], "objects": objects}
    dataset = datasets.Dataset.from_dict(rows, features=features)
    (tmp_path / "parquet").mkdir()
    dataset.to_parquet(tmp_path / "parquet/train.parquet")
    dataset.save_to_disk(tmp_path / "arrow")
    for name in ("parquet", "arrow"):
        out = tmp_path / f"out-{name}"
        result = batch(tmp_path / name, out, "--category", "dog", *OPTIONS)
        assert result.exit_code == 0, result.output
        photos = sorted(output_photos(out))
        assert [Path(n).name for n in photos] == ["000000.jpg", "000001.png"]
        assert is_square_removed(out / photos[0])
        assert (out / photos[1]).read_bytes() == (tmp_path / "b.png").read_bytes()
        (row,) = read_manifest(out)
        assert row["label"] == "dog"


def test_tables_and_tar_files_are_read_from_a_remote_store(tmp_path: Path) -> None:
    """A row without a picture is reported."""
    import fsspec
    import pyarrow
    from pyarrow import parquet

    data = save_photo(tmp_path / "a.png").read_bytes()
    picture = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    cells = [{"bytes": data, "path": "a.png"}, None, {"bytes": data, "path": None}]
    table = pyarrow.table({"image": pyarrow.array(cells, picture)})
    memory = fsspec.filesystem("memory")
    with memory.open("/shards/t/train.parquet", "wb") as file:
        parquet.write_table(table, file)
    with memory.open("/shards/s/a.tar", "wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
        tar.add(tmp_path / "a.png", "x/a.png")
    result = batch_red("memory://shards/t", tmp_path / "t")
    assert result.exit_code == 3, result.output
    assert "no picture in this row" in result.stderr
    assert is_square_removed(tmp_path / "t/train/000000.png")
    assert is_square_removed(tmp_path / "t/train/000002.png")
    result = batch_red("memory://shards/s", tmp_path / "s")
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "s/a/x/a.png")


def test_samples_of_webdataset_shards_are_edited(tmp_path: Path) -> None:
    """A sample has prompts in JSON or a mask; otherwise the prompt of the command line applies."""
    wds = pytest.importorskip("webdataset", reason="webdataset is not installed")
    photo = save_photo(tmp_path / "a.png").read_bytes()
    mask = io.BytesIO()
    Image.fromarray(red_mask()).save(mask, "PNG")
    shards = tmp_path / "shards"
    shards.mkdir()
    with wds.TarWriter(str(shards / "s-000.tar")) as tar:
        row = {"boxes": [[X0 - 2, Y0 - 2, X1 + 2, Y1 + 2]], "caption": "ignored", "seed": 5}
        tar.write({"__key__": "x/one", "png": photo, "json": json.dumps(row).encode()})
        tar.write({"__key__": "x/two", "png": photo, "mask.png": mask.getvalue()})
        tar.write({"__key__": "x/three", "png": photo})
    out = tmp_path / "out"
    refused = batch(shards, out, *OPTIONS)
    assert refused.exit_code == 1
    assert "s-000.tar: x/three: no prompt" in refused.stderr
    result = batch(shards, out, "-p", "26,22", *OPTIONS)
    assert result.exit_code == 0, result.output
    for name in ("one", "two", "three"):
        assert is_square_removed(out / f"s-000/x/{name}.png")
    rows = {Path(row["output"]).stem: row for row in read_manifest(out)}
    assert rows["one"]["request"]["fill"]["seed"] == 5
    assert rows["two"]["detector"] == "mask"
    assert rows["three"]["detector"] == "builtin"


def test_a_damaged_table_is_reported(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/x.parquet").write_bytes(b"not Parquet")
    result = batch(tmp_path / "tables", tmp_path / "out", "-p", "26,22", *OPTIONS)
    assert result.exit_code == 1
    assert "x.parquet: not a readable table: " in result.stderr


def test_a_damaged_tar_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "s.tar").write_bytes(b"x" * 2000)
    result = batch(tmp_path / "s.tar", tmp_path / "out", "-p", "26,22", *OPTIONS)
    assert result.exit_code == 1
    assert "s.tar: not a readable tar" in result.stderr
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    assert batch(tmp_path / "empty.tar", tmp_path / "out", "-p", "1,1", *OPTIONS).exit_code == 0
