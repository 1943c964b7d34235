"""Pascal VOC annotations."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    PHOTO_SIZE,
    RED_BOX,
    batch,
    is_square_removed,
    output_files,
    read_manifest,
    save_photo,
)
from PIL import Image

OPTIONS = (*FAST_OPTIONS, *NO_WORKERS)
VOC = """<annotation><folder>set</folder><filename>p.jpg</filename>
<size><width>64</width><height>48</height><depth>3</depth></size>
<object><name>cat</name><bndbox><xmin>41</xmin><ymin>31</ymin><xmax>56</xmax><ymax>44</ymax></bndbox></object>
<object><name>dog</name><bndbox><xmin>21</xmin><ymin>17</ymin><xmax>32</xmax><ymax>28</ymax></bndbox></object>
</annotation>"""


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    home = tmp_path / "set"
    save_photo(home / "JPEGImages/p.jpg")
    for name, text in (("Annotations/p.xml", VOC), ("ImageSets/Main/train.txt", "p\n")):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    return home


def test_objects_of_a_category_are_removed(voc: Path, tmp_path: Path) -> None:
    """VOC boxes count from 1 and include both ends; other objects and image sets remain."""
    out = tmp_path / "out"
    result = batch(voc, out, "--category", "dog", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(out / "JPEGImages/p.jpg")
    (row,) = read_manifest(out)
    assert row["request"]["prompts"] == [{"box": list(RED_BOX)}]
    root = ElementTree.parse(out / "Annotations/p.xml").getroot()
    assert [record.findtext("name") for record in root.findall("object")] == ["cat"]
    assert root.findtext("size/width") == "64"
    assert (out / "ImageSets/Main/train.txt").read_text() == "p\n"


def test_nothing_changes_if_no_object_is_selected(voc: Path, tmp_path: Path) -> None:
    options = ("--min-area", 10_000, "--if-nothing", "copy", *OPTIONS)
    assert batch(voc, tmp_path / "out", *options).exit_code == 0
    assert output_files(tmp_path / "out") == output_files(voc)


def test_an_invalid_file_is_reported(voc: Path, tmp_path: Path) -> None:
    (voc / "Annotations/q.xml").write_text("<annotation><object>")
    result = batch(voc, tmp_path / "out", *OPTIONS)
    assert result.exit_code == 1
    assert "Annotations/q.xml: not XML" in result.stderr


SQUARE_XML = """<object><name>{label}</name><bndbox><xmin>21</xmin><ymin>17</ymin><xmax>32</xmax>
<ymax>28</ymax></bndbox></object>"""


def write_voc(
    path: Path, filename: str | None = None, objects: str = "", size: str = "", label: str = "dog"
) -> Path:
    """Write an annotation file of the red square and of ``objects``."""
    name = "" if filename is None else f"<filename>{filename}</filename>"
    path.parent.mkdir(parents=True, exist_ok=True)
    square = SQUARE_XML.format(label=label)
    path.write_text(f"<annotation>{name}{size}{objects}{square}</annotation>")
    return path


@pytest.mark.parametrize(
    ("annotation", "photo"),
    [
        ("annotations/p.xml", "images/p.jpg"),
        ("ANNOTATIONS/p.XML", "IMAGES/p.JPG"),
        ("annotations/xmls/p.xml", "images/p.png"),
        ("VOCdevkit/VOC2012/Annotations/p.xml", "VOCdevkit/VOC2012/JPEGImages/p.jpg"),
        ("Annotations/train/p.xml", "JPEGImages/train/p.jpg"),
        ("Annotations/train/p.xml", "JPEGImages/p.jpg"),
        ("annotations/p.xml", "p.jpg"),
        ("train/p.xml", "train/p.jpg"),
        ("labels/p.xml", "images/p.jpg"),
    ],
)
def test_the_folders_of_other_tools_are_read(tmp_path: Path, annotation: str, photo: str) -> None:
    source = tmp_path / "set"
    save_photo(source / photo)
    write_voc(source / annotation, Path(photo).name)
    result = batch(source, tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out" / photo)
    after = ElementTree.parse(tmp_path / "out" / annotation).getroot()
    assert after.findall("object") == []


@pytest.mark.parametrize(
    "filename",
    ["p.jpg", "p", "p.png", "P.JPG", "JPEGImages/p.jpg", "../JPEGImages/p.jpg", "C:\\set\\p.jpg",
     "/home/someone/p.jpg", "renamed.jpg", "", None],
)  # fmt: skip
def test_the_photo_is_found_by_its_name_or_that_of_the_annotation(
    tmp_path: Path, filename: str | None
) -> None:
    save_photo(tmp_path / "set/JPEGImages/p.jpg")
    save_photo(tmp_path / "set/JPEGImages/other.jpg")
    write_voc(tmp_path / "set/Annotations/p.xml", filename)
    result = batch(tmp_path / "set", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out/JPEGImages/p.jpg")


def test_a_name_that_is_copied_into_all_files_is_not_believed(tmp_path: Path) -> None:
    for name in "pq":
        save_photo(tmp_path / f"set/JPEGImages/{name}.jpg")
        write_voc(tmp_path / f"set/Annotations/{name}.xml", "p.jpg")
    result = batch(tmp_path / "set", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert {row["photo"][-5:] for row in read_manifest(tmp_path / "out")} == {"p.jpg", "q.jpg"}


def test_an_annotation_without_its_photo_stops_no_other(voc: Path, tmp_path: Path) -> None:
    write_voc(voc / "Annotations/q.xml", "q.jpg")
    out = tmp_path / "out"
    result = batch(voc, out, "--category", "dog", "--skip-invalid", *OPTIONS)
    assert result.exit_code == 3
    assert "JPEGImages/q.jpg: no such file" in result.output
    assert is_square_removed(out / "JPEGImages/p.jpg")


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ("<object><name>cat</name></object>", "expected a bndbox"),
        ("<object/>", "expected a bndbox"),
        ("<object><bndbox><xmin>1</xmin></bndbox></object>", "a number for ymin, got None"),
        (VOC.splitlines()[2].replace("41<", "a<"), "a number for xmin, got 'a'"),
        (VOC.splitlines()[2].replace("41<", "nan<"), "a number for xmin, got 'nan'"),
        (VOC.splitlines()[2].replace("41<", "60<"), "the box has no area"),
        (VOC.splitlines()[2].replace("56<", "1e300<"), "a number for xmax, got '1e300'"),
    ],
)
def test_a_damaged_object_stops_no_other_of_its_photo(
    tmp_path: Path, objects: str, message: str
) -> None:
    save_photo(tmp_path / "set/JPEGImages/p.jpg")
    write_voc(tmp_path / "set/Annotations/p.xml", "p.jpg", objects)
    out = tmp_path / "out"
    result = batch(tmp_path / "set", out, "--skip-invalid", *OPTIONS)
    assert result.exit_code == 3, result.output
    assert "Annotations/p.xml: object 1: " in result.output
    assert message in result.output
    assert is_square_removed(out / "JPEGImages/p.jpg")
    assert len(ElementTree.parse(out / "Annotations/p.xml").getroot().findall("object")) == 1


def test_float_coordinates_and_a_size_of_zeros_are_read(tmp_path: Path) -> None:
    save_photo(tmp_path / "set/JPEGImages/p.jpg")
    path = write_voc(
        tmp_path / "set/Annotations/p.xml", "p.jpg",
        size="<size><width>0</width><height> 0 </height><depth/></size>",
    )  # fmt: skip
    path.write_text(path.read_text().replace(">21<", "> 21.4 <").replace(">32<", ">31.6<"))
    result = batch(tmp_path / "set", tmp_path / "out", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert read_manifest(tmp_path / "out")[0]["request"]["prompts"] == [{"box": list(RED_BOX)}]


@pytest.mark.parametrize(
    ("encoding", "declared", "label"),
    [
        ("utf-8-sig", "", "Hündin"),
        ("utf-8-sig", "utf-8", "Hündin"),
        ("gb2312", "gb2312", "狗"),
        ("latin-1", "ISO-8859-1", "Hündin"),
        ("latin-1", "", "Hündin"),
        ("utf-16", "utf-16", "Hündin"),
        ("shift_jis", "Shift_JIS", "犬"),
    ],
)
def test_declared_encodings_are_read(
    tmp_path: Path, encoding: str, declared: str, label: str
) -> None:
    save_photo(tmp_path / "set/JPEGImages/p.jpg")
    path = write_voc(tmp_path / "set/Annotations/p.xml", "p.jpg", label=label)
    head = f'<?xml version="1.0" encoding="{declared}"?>\n' if declared else ""
    path.write_bytes((head + path.read_text()).encode(encoding))
    out = tmp_path / "out"
    result = batch(tmp_path / "set", out, "--category", label, *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(out / "JPEGImages/p.jpg")
    assert ElementTree.parse(out / "Annotations/p.xml").getroot().findall("object") == []


def test_xml_entities_are_refused(voc: Path, tmp_path: Path) -> None:
    """They may expand to gigabytes, or include files."""
    bomb = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;">]>'
    (voc / "Annotations/q.xml").write_text(f"{bomb}<annotation>&b;</annotation>")
    result = batch(voc, tmp_path / "out", "--category", "dog", "--skip-invalid", *OPTIONS)
    assert result.exit_code == 3
    assert "Annotations/q.xml: it declares XML entities" in result.output
    assert is_square_removed(tmp_path / "out/JPEGImages/p.jpg")


def test_rotated_boxes_and_outlines_are_read(tmp_path: Path) -> None:
    save_photo(tmp_path / "set/JPEGImages/p.jpg")
    x0, y0, x1, y1 = RED_BOX
    objects = {
        "rotated": f"<robndbox><cx>{(x0 + x1) / 2}</cx><cy>{(y0 + y1) / 2}</cy><w>{y1 - y0}</w>"
        f"<h>{x1 - x0}</h><angle>1.5707963</angle></robndbox>",
        "points": "".join(
            f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
        ).join(("<polygon>", "</polygon>")),
        "numbered": f"<polygon><x1>{x0}</x1><y1>{y0}</y1><x2>{x1}</x2><y2>{y0}</y2><x3>{x1}</x3>"
        f"<y3>{y1}</y3><x4>{x0}</x4><y4>{y1}</y4></polygon>",
    }
    for label, shape in objects.items():
        path = tmp_path / "set/Annotations/p.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"<annotation><object><name>{label}</name>{shape}</object></annotation>")
        result = batch(tmp_path / "set", tmp_path / label, *OPTIONS)
        assert result.exit_code == 0, result.output
        assert is_square_removed(tmp_path / label / "JPEGImages/p.jpg")
        assert read_manifest(tmp_path / label)[0]["detector"] == "mask"


@pytest.fixture
def segmented(voc: Path) -> Path:
    """The cat is the first object, the red dog the second; both have masks, with void borders."""
    numbers = np.zeros(PHOTO_SIZE, np.uint8)
    numbers[30:44, 40:56] = 1
    x0, y0, x1, y1 = RED_BOX
    numbers[y0:y1, x0:x1] = 2
    for folder, values in (("Object", numbers), ("Class", numbers + 10 * (numbers > 0))):
        picture = Image.fromarray(values.astype(np.uint8))
        picture.putpalette([*np.random.default_rng(0).integers(0, 256, 768)])
        path = voc / f"Segmentation{folder}/p.png"
        path.parent.mkdir()
        picture.save(path)
    return voc


def test_masks_of_segmentations_are_taken(segmented: Path, tmp_path: Path) -> None:
    """What remains is a dataset whose masks have the numbers of its objects."""
    out = tmp_path / "out"
    result = batch(segmented, out, "--category", "cat", *OPTIONS)
    assert result.exit_code == 0, result.output
    (row,) = read_manifest(out)
    assert row["detector"] == "mask"
    assert row["box"] == [40, 30, 56, 44]
    before, after = (
        np.asarray(Image.open(f / "SegmentationObject/p.png")) for f in (segmented, out)
    )
    assert (after == np.where(before == 2, 1, 0)).all()
    classes = Image.open(out / "SegmentationClass/p.png")
    assert classes.mode == "P"
    assert (np.asarray(classes) == np.where(before == 2, 12, 0)).all()
    assert classes.getpalette() == Image.open(segmented / "SegmentationClass/p.png").getpalette()


def test_segmentations_are_copied_if_nothing_is_removed(segmented: Path, tmp_path: Path) -> None:
    options = ("--min-area", 10_000, "--if-nothing", "copy", *OPTIONS)
    assert batch(segmented, tmp_path / "out", *options).exit_code == 0
    assert output_files(tmp_path / "out") == output_files(segmented)


def test_masks_that_lie_elsewhere_than_the_boxes_are_not_taken(
    segmented: Path, tmp_path: Path
) -> None:
    """Their numbers mean other objects."""
    path = segmented / "Annotations/p.xml"
    objects = VOC.splitlines()[2:4]
    text = VOC.replace(objects[0] + "\n" + objects[1], objects[1] + "\n" + objects[0])
    assert text != VOC
    path.write_text(text)
    result = batch(segmented, tmp_path / "out", "--category", "dog", *OPTIONS)
    assert result.exit_code == 0, result.output
    assert is_square_removed(tmp_path / "out/JPEGImages/p.jpg")
    assert read_manifest(tmp_path / "out")[0]["request"]["prompts"] == [{"box": list(RED_BOX)}]


def test_an_unknown_category_is_reported(voc: Path, tmp_path: Path) -> None:
    result = batch(voc, tmp_path / "out", "--category", "zebra", *OPTIONS)
    assert result.exit_code == 1
    assert "no category 'zebra'; known: cat, dog" in result.stderr


def test_a_folder_without_annotations_is_refused(tmp_path: Path) -> None:
    save_photo(tmp_path / "set/JPEGImages/p.jpg")
    result = batch(tmp_path / "set", tmp_path / "out", "--format", "voc", *OPTIONS)
    assert result.exit_code == 1
    assert "no annotation files (.xml)" in result.stderr
