"""Sound datasets of two photos in every format, with a record of one photo to be damaged.

The photos are ``good.png`` and ``bad.png``. ``damage`` is applied to the record of the bad one; it
gets and returns JSON data, and ``spoil`` does the same to the bytes of the record's own file.
"""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from dataset_photos import BLUE_BOX, PHOTO_SIZE, RED_BOX, save_photo

Damage = Callable[[Any], Any]
Spoil = Callable[[bytes], bytes]

H, W = PHOTO_SIZE
X0, Y0, X1, Y1 = RED_BOX
NAMES = ("good.png", "bad.png")
POLYGON = [X0, Y0, X1, Y0, X1, Y1, X0, Y1]
CORNERS = [[X0, Y0], [X1, Y0], [X1, Y1], [X0, Y1]]
CAPTION = {"caption": "a square", "license": None}  # of no meaning here


def _write(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
    return path


def _photos(folder: Path) -> None:
    for name in NAMES:
        save_photo(folder / name)


def jsonl(folder: Path, damage: Damage, spoil: Spoil) -> Path:
    _photos(folder)
    row = {"boxes": [list(RED_BOX)], "points": [[26, 22]], "not_points": "1,1", "label": "square",
           "id": 7, "seed": 3, "dilate": "5px", "feather": 2, "verify": False, "attempts": 1,
           "inpainter": "telea"}  # fmt: skip
    bad = spoil(_json(damage({"photo": "bad.png", **row})))
    lines = [bad.replace(b"\n", b""), _json({"photo": "good.png", **row}), b""]
    return _write(folder / "rows.jsonl", b"\n".join(lines))


def csv_table(folder: Path, damage: Damage, spoil: Spoil) -> Path:
    _photos(folder)
    row = {"boxes": "20,16,32,28", "points": "26,22", "label": "square", "seed": "3"}
    bad = damage({"photo": "bad.png", **row})
    columns = [*row, "photo"]
    cells = [bad.get(name, "") for name in columns] if isinstance(bad, dict) else [bad]
    line = spoil(_csv_line(cells)).replace(b"\n", b"").replace(b"\r", b"")
    good = _csv_line([*row.values(), "good.png"])
    return _write(folder / "rows.csv", _csv_line(columns) + line + b"\r\n" + good)


def coco(folder: Path, damage: Damage, spoil: Spoil) -> Path:
    return _coco(folder, damage, [list(POLYGON)])


def coco_rle(folder: Path, damage: Damage, spoil: Spoil) -> Path:
    counts = [W * H // 2 - 100, 200, W * H // 2 - 100]
    return _coco(folder, damage, {"size": [H, W], "counts": counts})


def _coco(folder: Path, damage: Damage, segmentation: Any) -> Path:
    _photos(folder)
    photos = [{"id": i, "file_name": name, "height": H, "width": W, **CAPTION}
              for i, name in enumerate(NAMES)]  # fmt: skip
    objects = [
        {
            "id": 10 + i,
            "image_id": i,
            "category_id": 1,
            "bbox": [X0, Y0, 12, 12],
            "area": 144,
            "iscrowd": 0,
            "segmentation": segmentation,
        }
        for i in range(2)
    ]
    bad = damage(
        {
            "image": photos[1],
            "annotation": objects[1],
            "category": {"id": 2, "name": "cat", "supercategory": "animal"},
        }
    )
    categories = [{"id": 1, "name": "square"}, *_part(bad, "category")]
    data = {"info": {}, "licenses": [], "categories": categories,
            "images": [photos[0], *_part(bad, "image")],
            "annotations": [*_part(bad, "annotation"), objects[0]]}  # fmt: skip
    return _write(folder / "instances.json", _json(data))


def _part(record: Any, key: str) -> list[Any]:
    """Return an entry of a damaged record, which may be gone."""
    return [record[key]] if isinstance(record, dict) and key in record else []


def yolo(folder: Path, damage: Damage, spoil: Spoil) -> Path:
    _photos(folder / "images")
    line = f"0 {26 / W} {22 / H} {12 / W} {12 / H}"
    numbers = damage([0, 26 / W, 22 / H, 12 / W, 12 / H])
    text = " ".join(map(_text, numbers)) if isinstance(numbers, list) else _text(numbers)
    _write(folder / "labels/bad.txt", spoil(f"{text}\n".encode("utf-8", "surrogatepass")))
    _write(folder / "labels/good.txt", f"{line}\n")
    _write(folder / "data.yaml", "train: images\nnames: [square, cat]\n")
    return folder / "data.yaml"


def voc(folder: Path, damage: Damage, spoil: Spoil) -> Path:
    _photos(folder / "JPEGImages")
    for name in NAMES:
        box = {"xmin": X0 + 1, "ymin": Y0 + 1, "xmax": X1, "ymax": Y1}
        record: Any = {"filename": name, "size": {"width": W, "height": H, "depth": 3},
                       "object": {"name": "square", "difficult": 0, "bndbox": box}}  # fmt: skip
        record = damage(record) if name == "bad.png" else record
        data = f"<annotation>{_xml(record)}</annotation>".encode("utf-8", "replace")
        data = spoil(data) if name == "bad.png" else data
        _write(folder / f"Annotations/{name[:-4]}.xml", data)
    return folder


def labelme(folder: Path, damage: Damage, spoil: Spoil) -> Path:
    _photos(folder)
    for name in NAMES:
        shapes = [{"label": "square", "points": CORNERS, "group_id": None, "shape_type": "polygon",
                   "flags": {}}]  # fmt: skip
        record: Any = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": name,
                       "imageData": None, "imageHeight": H, "imageWidth": W}  # fmt: skip
        data = spoil(_json(damage(record))) if name == "bad.png" else _json(record)
        _write(folder / f"{name[:-4]}.json", data)
    return folder


def cvat(folder: Path, damage: Damage, spoil: Spoil) -> Path:
    _photos(folder / "images")
    box = {"label": "square", "occluded": 0, "xtl": X0, "ytl": Y0, "xbr": X1, "ybr": Y1}
    corners = ";".join(f"{x},{y}" for x, y in CORNERS)
    good = {"image": {"id": 0, "name": "good.png", "width": W, "height": H}, "box": box,
            "polygon": {"label": "square", "points": corners}}  # fmt: skip
    bad = damage({**good, "image": {**good["image"], "id": 1, "name": "bad.png"}})
    text = "".join(map(_cvat_image, (bad, good)))
    return _write(folder / "annotations.xml",
                  f"<annotations><version>1.1</version>{text}</annotations>")  # fmt: skip


def _cvat_image(record: Any) -> str:
    record = record if isinstance(record, dict) else {}
    shapes = "".join(
        f"<{kind} {_attributes(record[kind])}/>" for kind in ("box", "polygon") if kind in record
    )
    return f"<image {_attributes(record.get('image'))}>{shapes}</image>"


def label_studio(folder: Path, damage: Damage, spoil: Spoil) -> Path:
    _photos(folder)
    value = {"x": 100 * X0 / W, "y": 100 * Y0 / H, "width": 100 * 12 / W, "height": 100 * 12 / H,
             "rotation": 0, "rectanglelabels": ["square"]}  # fmt: skip
    result = {"id": "r", "type": "rectanglelabels", "from_name": "label", "to_name": "image",
              "original_width": W, "original_height": H, "value": value}  # fmt: skip
    tasks = [{"id": i, "data": {"image": f"/data/upload/1/0a1b2c3d-{name}"},
              "annotations": [{"id": i, "result": [result]}]}
             for i, name in enumerate(NAMES)]  # fmt: skip
    return _write(folder / "tasks.json", _json([damage(tasks[1]), tasks[0]]))


def via(folder: Path, damage: Damage, spoil: Spoil) -> Path:
    _photos(folder)
    shape = {"name": "rect", "x": X0, "y": Y0, "width": 12, "height": 12}
    regions = [{"shape_attributes": shape, "region_attributes": {"name": "square"}}]
    photos = {name: {"filename": name, "size": 1, "regions": regions, "file_attributes": {}}
              for name in NAMES}  # fmt: skip
    data = {"bad.png1": damage(photos["bad.png"]), "good.png1": photos["good.png"]}
    return _write(folder / "via.json", _json(data))


def parquet(folder: Path, damage: Damage, spoil: Spoil) -> Path:
    """Arrow has one type for all cells of a column, so the damage that does not fit is left out."""
    import pyarrow
    from pyarrow import parquet as files

    photo = save_photo(folder / "photo.png").read_bytes()
    good = {"image": {"bytes": photo, "path": "a.png"},
            "objects": {"bbox": [[X0, Y0, 12.0, 12.0]], "category": ["square"]}}  # fmt: skip
    picture = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    boxes = pyarrow.list_(pyarrow.list_(pyarrow.float64()))
    objects = pyarrow.struct([("bbox", boxes), ("category", pyarrow.list_(pyarrow.string()))])
    schema = pyarrow.schema([("image", picture), ("objects", objects)])
    bad = damage({**good, "image": {"bytes": "", "path": "a.png"}})
    if isinstance(bad, dict) and isinstance(bad.get("image"), dict):
        bad["image"]["bytes"] = spoil(photo)
    try:
        table = pyarrow.Table.from_pylist([good, bad], schema)
    except (pyarrow.ArrowException, ValueError, TypeError, OverflowError, AttributeError):
        bad = {"image": {"bytes": spoil(photo), "path": None}, "objects": None}
        table = pyarrow.Table.from_pylist([good, bad], schema)
    (folder / "t").mkdir()
    files.write_table(table, folder / "t/good.parquet")
    return folder / "t"


def webdataset(folder: Path, damage: Damage, spoil: Spoil) -> Path:
    photo = save_photo(folder / "photo.png").read_bytes()
    row = {"boxes": [list(BLUE_BOX)], "caption": "two squares", "seed": 3, "attempts": 1}
    members = {"bad.png": spoil(photo), "bad.json": spoil(_json(damage(row))),
               "good.png": photo, "good.json": _json(row)}  # fmt: skip
    path = folder / "t/good.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def photo_folder(folder: Path, damage: Damage, spoil: Spoil) -> Path:
    _photos(folder)
    _write(folder / "bad.png", spoil((folder / "bad.png").read_bytes()))
    return folder


SAMPLES = {
    function.__name__: function
    for function in (jsonl, csv_table, coco, coco_rle, yolo, voc, labelme, cvat, label_studio, via,
                     parquet, webdataset, photo_folder)
}  # fmt: skip


# --- texts ------------------------------------------------------------------------------------


def _json(data: Any) -> bytes:
    return json.dumps(data).encode()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _csv_line(cells: list[Any]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow([_text(cell) for cell in cells])
    return text.getvalue().encode("utf-8", "surrogatepass")


def _xml(data: Any) -> str:
    """Return JSON data as XML elements named by its keys."""
    if isinstance(data, list):
        return "".join(f"<object>{_xml(value)}</object>" for value in data)
    if not isinstance(data, dict):
        element = ElementTree.Element("x")
        element.text = "" if data is None else str(data)
        return ElementTree.tostring(element, "unicode")[3:-4] if element.text else ""
    return "".join(f"<{key}>{_xml(value)}</{key}>" for key, value in data.items())


def _attributes(data: Any) -> str:
    """Return JSON data as attributes; characters that XML cannot have are left out."""
    items = data.items() if isinstance(data, dict) else ()
    texts = ((key, "".join(c for c in _text(value) if c.isprintable())) for key, value in items)
    return " ".join(f"{key}={quoteattr(text)}" for key, text in texts)
