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
    assert batch(tmp_path / "empty.tar", tmp_path / "out", "-p", "1,1", *OPTIONS).exit_code == 1


# --- tables as people have them ---------------------------------------------------------------


def write_parquet(path: Path, **columns: object) -> None:
    import pyarrow
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(columns), path)


@pytest.mark.parametrize("form", ["text", "struct"])
@pytest.mark.parametrize("column", ["image", "photo", "file_name"])
def test_cells_that_hold_paths_open_the_file_beside_the_table(
    tmp_path: Path, form: str, column: str
) -> None:
    """Relative to the folder of the table, in any spelling, or absolute; a lost one is told."""
    save_photo(tmp_path / "t/images/a.jpg")
    save_photo(tmp_path / "b.png")
    paths = ["images\\A.JPG", str(tmp_path / "b.png"), "images/lost.png", "x\0.png", ""]
    cells: list[object] = (
        [{"bytes": None, "path": p} for p in paths] if form == "struct" else [*paths]
    )
    write_parquet(tmp_path / "t/train.parquet", **{column: cells})
    result = batch_red(tmp_path / "t", tmp_path / "out", "--skip-invalid", "--format", "hf")
    assert result.exit_code == 3, result.output
    assert sorted(output_photos(tmp_path / "out")) == ["train/000000.JPG", "train/000001.png"]
    assert "train.parquet: row 2: " in result.stderr
    assert "images/lost.png: no such file" in result.stderr
    assert f"train.parquet: row 3: {column} must be a name" in result.stderr
    assert "there is no picture in this row" in result.stderr


def test_a_bad_object_of_a_row_is_its_own_problem(tmp_path: Path) -> None:
    """Others of its row and other rows are edited; a photo with bad ones alone is not copied."""
    photo = save_photo(tmp_path / "a.png").read_bytes()
    good = [float(X0), float(Y0), 12.0, 12.0]
    boxes = [
        [good, [1.0, 2.0]],
        [[1.0, 1.0, float("nan"), 5.0], good],
        [[1.0, 1.0, 5.0, 0.0]],
        None,
        [[1e300, 1.0, 5.0, 5.0], None],
    ]
    objects = [{"bbox": b, "category": ["dog"]} for b in boxes]
    write_parquet(tmp_path / "t/a.parquet", image=[photo] * len(boxes), objects=objects)
    out = tmp_path / "out"
    result = batch(tmp_path / "t", out, "--skip-invalid", *OPTIONS)
    assert result.exit_code == 3, result.output
    assert sorted(output_photos(out)) == ["a/000000.png", "a/000001.png", "a/000003.png"]
    assert is_square_removed(out / "a/000000.png")
    assert is_square_removed(out / "a/000001.png")
    for place in ("row 0, object 1", "row 1, object 0", "row 2, object 0", "row 4, object 1"):
        assert f"a.parquet: {place}: expected bbox x, y, width, height" in result.stderr


def test_a_category_that_no_row_has_is_told(tmp_path: Path) -> None:
    photo = save_photo(tmp_path / "a.png").read_bytes()
    objects = [{"bbox": [[1.0, 1.0, 9.0, 9.0]], "category": ["dog"]}]
    write_parquet(tmp_path / "t/a.parquet", image=[photo], objects=objects)
    result = batch(tmp_path / "t", tmp_path / "out", "--category", "cat", *OPTIONS)
    assert result.exit_code == 1
    assert "no category 'cat'; known: dog" in result.stderr


def test_a_damaged_table_does_not_cost_the_others(tmp_path: Path) -> None:
    photo = save_photo(tmp_path / "a.png").read_bytes()
    for name in ("a", "b", "c"):
        write_parquet(tmp_path / f"t/{name}.parquet", image=[photo])
    whole = (tmp_path / "t/a.parquet").read_bytes()
    (tmp_path / "t/a.parquet").write_bytes(whole[:100])
    (tmp_path / "t/b.parquet").write_bytes(whole[:20] + b"\xff" * 200 + whole[220:])
    result = batch_red(tmp_path / "t", tmp_path / "out", "--skip-invalid")
    assert result.exit_code == 3, result.output
    assert output_photos(tmp_path / "out") == ["c/000000.png"]
    assert "a.parquet: not a readable table" in result.stderr
    assert "b.parquet" in result.stderr


def write_tar(path: Path, *members: tuple[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


BAD_JSON = [b"[1]", b"null", b"{", b"[" * 100_000, b'{"boxes": [[1, null, 2, 3]]}', b'{"mask": 5}',
            b'{"boxes": {"x": 1}}', b"\xc3\xa8\xb1\xb1"]  # fmt: skip


def test_odd_members_of_a_shard_are_their_own_problems(tmp_path: Path) -> None:
    """JSON that is no object, samples of two photos or none, folders, links, hidden files."""
    photo = save_photo(tmp_path / "a.png").read_bytes()
    row = json.dumps({"points": [26, 22], "text": None}).encode("utf-16")
    members = [("ok.png", photo), ("ok.json", row), ("._ok.png", b"x"), (".DS_Store", b"x"),
               ("two.png", photo), ("two.jpg", photo), ("none.txt", b"x"),
               ("caf\udce9.png", photo)]  # fmt: skip
    for number, data in enumerate(BAD_JSON):
        members += [(f"bad{number}.png", photo), (f"bad{number}.json", data)]
    write_tar(tmp_path / "t/s.tar", *members)
    out = tmp_path / "out"
    result = batch(tmp_path / "t", out, "-p", "26,22", "--skip-invalid", *OPTIONS)
    assert result.exit_code == 3, result.output
    assert sorted(output_photos(out)) == ["s/caf\udce9.png", "s/ok.png"]
    for number in range(len(BAD_JSON)):
        assert f"s.tar: bad{number}: " in result.stderr


@pytest.mark.parametrize("kept", [200, 512 + 100])
def test_a_truncated_shard_gives_the_samples_before_its_end(tmp_path: Path, kept: int) -> None:
    """The file ends within the header of a member, or within its data."""
    photo = save_photo(tmp_path / "a.png").read_bytes()
    write_tar(tmp_path / "t/s.tar", ("a.png", photo), ("b.png", photo), ("c.png", photo))
    whole = (tmp_path / "t/s.tar").read_bytes()
    start = whole.index(b"c.png")
    (tmp_path / "t/s.tar").write_bytes(whole[: start + kept])
    write_tar(tmp_path / "t/u.tar", ("d.png", photo))
    result = batch_red(tmp_path / "t", tmp_path / "out", "--skip-invalid")
    assert result.exit_code == 3, result.output
    assert sorted(output_photos(tmp_path / "out")) == ["s/a.png", "s/b.png", "u/d.png"]
    assert "s.tar: not a readable tar" in result.stderr
