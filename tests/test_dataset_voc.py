"""Pascal VOC annotations."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from dataset_photos import (
    FAST_OPTIONS,
    NO_WORKERS,
    RED_BOX,
    batch,
    is_square_removed,
    output_files,
    read_manifest,
    save_photo,
)

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
    assert batch(voc, tmp_path / "out", "--id", "none", *OPTIONS).exit_code == 0
    assert output_files(tmp_path / "out") == output_files(voc)


def test_an_invalid_file_is_reported(voc: Path, tmp_path: Path) -> None:
    (voc / "Annotations/q.xml").write_text("<annotation><object>")
    result = batch(voc, tmp_path / "out", *OPTIONS)
    assert result.exit_code == 1
    assert "Annotations/q.xml: not XML" in result.stderr
