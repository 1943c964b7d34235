"""``Find``: lines of text and faces, by the networks that ship."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from portrait import drawn_face

from models.training.find import export
from segment2inpaint import detect, request
from segment2inpaint.cli import main
from segment2inpaint.detect.find.detector import FindDetector, in_reading_order
from segment2inpaint.detect.find.outline import Outline
from segment2inpaint.errors import BadModel, BadOption, BadPrompt, NothingFound
from segment2inpaint.networks.any_size import load_network
from segment2inpaint.networks.onnx import OnnxNetwork
from segment2inpaint.types import (
    BinaryMask,
    Box,
    Find,
    Image,
    Points,
    Prompt,
    Request,
    UserMask,
    bounding_box,
)

CAPTION, STAMP = Box(30, 30, 330, 70), Box(420, 400, 600, 430)


def written(*lines: tuple[str, Box], ground: int = 120) -> Image:
    """Return a soft grey gradient with each text at the top left corner of its box."""
    grey = np.linspace(ground, ground + 40, 640)[None, :, None].repeat(480, 0).repeat(3, 2)
    picture = Pillow.fromarray(grey.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for text, box in lines:
        draw.text((box.x0, box.y0), text, (255, 240, 60), ImageFont.load_default(box.height * 0.8))
    return np.array(picture)


@pytest.fixture(scope="module")
def photo() -> Image:
    return written(("Summer at the lake", CAPTION), ("12.07.1998", STAMP))


def found(image: Image, *prompts: Prompt) -> list[BinaryMask]:
    return [d.mask for d in FindDetector().detect(image, prompts)]


def test_all_lines_of_text_are_covered_and_little_else(photo: Image) -> None:
    masks = found(photo, Find("text"))
    letters = (photo[..., 0].astype(int) - photo[..., 2]) > 40
    assert len(masks) == 2
    union = np.logical_or.reduce(masks)
    assert union[letters].all()
    assert union.mean() < 0.08


def test_lines_are_numbered_from_top_to_bottom(photo: Image) -> None:
    first, second = found(photo, Find("text"))
    assert bounding_box(first).overlaps(CAPTION)
    assert bounding_box(second).overlaps(STAMP)


def test_objects_of_one_row_are_ordered_from_left_to_right() -> None:
    def square(x: float, y: float) -> Outline:
        return Outline(np.array([[x, y], [x + 10, y + 10]], np.float32), 1.0, 10.0)

    left, right, below = square(0, 3), square(50, 0), square(0, 40)
    assert in_reading_order([below, right, left]) == [left, right, below]


def test_picks_exclusions_and_places_choose_among_the_lines(photo: Image) -> None:
    caption, stamp = found(photo, Find("text"))

    def only(prompt: Find, *others: Prompt) -> BinaryMask:
        (mask,) = found(photo, prompt, *others)
        return mask

    assert np.array_equal(only(Find("text", pick=(2,))), stamp)
    assert np.array_equal(only(Find("text", exclude=(2,))), caption)
    assert np.array_equal(only(Find("text", exclude=(CAPTION,))), stamp)
    assert np.array_equal(only(Find("text"), Points((((450, 412)),))), stamp)
    assert np.array_equal(only(Find("text"), Box(0, 0, 640, 200)), caption)
    assert np.array_equal(only(Find("text", min_size=35)), caption)


def test_nothing_outside_the_area_searched_is_selected(photo: Image) -> None:
    area = Box(0, 300, 520, 480)
    (mask,) = found(photo, Find("text", within=area))
    inside = bounding_box(mask)
    assert inside == bounding_box(mask & _filled(area))
    assert inside.x1 == area.x1


def _filled(box: Box) -> BinaryMask:
    mask = np.zeros((480, 640), np.bool_)
    mask[box.slices] = True
    return mask


def test_a_face_is_covered_from_forehead_to_chin() -> None:
    (mask,) = found(drawn_face(), Find("face"))
    box = bounding_box(mask)
    assert mask[300, 320]
    assert box.y0 < 300 - 60
    assert box.y1 > 300 + 100
    assert 150 < box.width < 320


def test_a_small_face_in_a_large_photo_is_found_in_photo_pixels() -> None:
    photo = drawn_face(3000, at=(2200, 700), radius=130)
    (mask,) = found(photo, Find("face"))
    assert mask[700, 2200]
    assert bounding_box(mask).width < 400


def test_what_is_not_there_is_said_with_the_best_score(photo: Image) -> None:
    with pytest.raises(NothingFound, match=r"find: no face above 0\.35, .*lower --threshold"):
        found(photo, Find("face"))
    with pytest.raises(NothingFound, match="every text is smaller than 300 px"):
        found(photo, Find("text", min_size=300))


def test_one_kind_that_is_missing_does_not_hide_the_other(photo: Image) -> None:
    assert len(found(photo, Find("face"), Find("text"))) == 2


def test_a_number_that_no_object_has_is_refused(photo: Image) -> None:
    with pytest.raises(BadPrompt, match="there are 2 objects"):
        found(photo, Find("text", pick=(3,)))
    with pytest.raises(BadPrompt, match="there are 2 objects"):
        found(photo, Find("text", exclude=(7,)))


def test_a_place_outside_the_photo_is_refused(photo: Image) -> None:
    with pytest.raises(BadPrompt, match="outside the photo of 640 x 480 px"):
        found(photo, Find("text", within=Box(900, 0, 950, 20)))
    with pytest.raises(BadPrompt, match="say what"):
        found(photo, Box(0, 0, 10, 10))


def test_auto_finds_kinds_with_their_detector_joined_with_others() -> None:
    mask = UserMask(np.ones((2, 2), np.bool_))
    assert detect.choose([Find("face")]).name == "find"
    assert detect.choose([Find("text"), mask]).name == "find+mask"
    assert detect.load("find").name == "find"


@pytest.mark.parametrize(
    "prompt",
    [
        Find("face"),
        Find("text", 0.4, (1, 3), Box(1, 2, 30, 40), 12, (2, Box(5, 6, 7, 8))),
    ],
)
def test_a_kind_is_the_same_after_a_round_trip_through_json(prompt: Find) -> None:
    data = request.to_json(Request((prompt,)))

    def unused(name: str) -> object:
        raise AssertionError(name)

    assert request.from_json(data, unused, unused).prompts == (prompt,)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Find("plate"), "one of text, face"),  # type: ignore[arg-type]
        (Find("text", threshold=2), "threshold must be a number from 0 to 1"),
        (Find("text", min_size=-1), "min_size must be"),
        (Find("text", within=(1, 2, 3, 4)), "within must be a Box"),  # type: ignore[arg-type]
        (Find("text", exclude=("a",)), "exclude boxes or whole numbers"),  # type: ignore[arg-type]
        (Find("text", pick=(1.5,)), "pick must be whole numbers"),  # type: ignore[arg-type]
    ],
)
def test_invalid_values_of_a_kind_are_refused(prompt: Find, message: str) -> None:
    with pytest.raises(BadPrompt, match=message):
        request.validate(Request((prompt,)))


def test_unknown_keys_of_a_kind_are_refused() -> None:
    data = {"prompts": [{"find": {"kind": "text", "size": 3}}]}
    with pytest.raises(BadOption, match="size"):
        request.from_json(data, lambda _: None, lambda _: None)  # type: ignore[arg-type, return-value]


def test_a_missing_network_is_said_in_one_line() -> None:
    with pytest.raises(BadModel, match=r"elephants\.onnx is missing"):
        load_network("elephants")


# --- the command line -------------------------------------------------------------------------


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(words))
    return result.exit_code, result.output


@pytest.fixture
def photo_file(tmp_path: Path, photo: Image) -> Path:
    Pillow.fromarray(photo).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_text_is_removed_by_kind_and_all_else_is_unchanged(photo_file: Path) -> None:
    out = photo_file.with_name("out.png")
    words = ["remove", str(photo_file), "--find", "text", "--within", "0,0,640,200"]
    code, output = run(*words, "--inpainter", "telea", "--no-verify", "-o", str(out))
    assert code == 0, output
    before, after = (np.asarray(Pillow.open(p)).astype(int) for p in (photo_file, out))
    assert (before[200:] == after[200:]).all()
    assert (after[..., 0] - after[..., 2])[:200].max() < 40
    assert (before[..., 0] - before[..., 2])[:200].max() > 40


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-p", "3,3", "--within", "0,0,9,9"], "--within needs --find"),
        (["-p", "3,3", "--min-size", "4"], "--min-size needs --find"),
        (["-p", "3,3", "--exclude", "4"], "--exclude needs --find"),
        (["--find", "license-plate"], "'license-plate' is not one of 'text', 'face'"),
        (["--find", "text", "--exclude", "x"], "expected a number such as 3, or X0,Y0,X1,Y1"),
    ],
)
def test_wrong_usage_is_said(photo_file: Path, words: list[str], message: str) -> None:
    code, output = run("remove", str(photo_file), *words, "-o", str(photo_file.with_name("o.png")))
    assert code == 2
    assert message in output


def test_rows_of_a_table_name_kinds(photo_file: Path) -> None:
    table = photo_file.with_name("rows.csv")
    table.write_text(f"photo,find,inpainter\n{photo_file.name},text,solid\n")
    code, output = run("batch", str(table), str(photo_file.parent / "out"), "--workers", "0")
    assert code == 0, output
    before = np.asarray(Pillow.open(photo_file))
    after = np.asarray(Pillow.open(photo_file.parent / "out" / "photo.png"))
    assert (before[CAPTION.slices] != after[CAPTION.slices]).any()


# --- the files that ship ----------------------------------------------------------------------


def published_network() -> onnx.ModelProto:
    """Return a small network as they are published: a fixed size, constants, two outputs."""
    h = onnx.helper
    kernel = np.random.default_rng(0).normal(0, 0.3, (2, 3, 3, 3)).astype(np.float32)
    constant = onnx.numpy_helper.from_array(kernel, "value")
    nodes = [
        h.make_node("Constant", [], ["kernel"], value=constant),
        h.make_node("Conv", ["photo", "kernel"], ["first"], pads=[1, 1, 1, 1]),
        h.make_node("Sigmoid", ["first"], ["second"]),
    ]
    shapes = {"photo": (10, 3, 32, 32), "first": (10, 2, 32, 32), "second": (10, 2, 32, 32)}
    source, *outputs = (
        h.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    )
    unused = onnx.numpy_helper.from_array(np.ones((3, 3), np.float32), "unused")
    graph = h.make_graph(nodes, "made", [source], outputs, [unused])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 11)], ir_version=6)


def test_an_exported_network_takes_any_size_and_has_one_output(tmp_path: Path) -> None:
    onnx.save(published_network(), tmp_path / "published.onnx")
    arguments = [str(tmp_path / "published.onnx"), str(tmp_path / "small.onnx")]
    export.main(arguments, standalone_mode=False)
    planes = np.random.default_rng(1).normal(0, 1, (3, 32, 32)).astype(np.float32)
    published = cv2.dnn.readNetFromONNX(str(tmp_path / "published.onnx"))
    published.setInput(planes[None])
    expected = np.concatenate([out[0] for out in published.forward(["first", "second"])])
    network = OnnxNetwork(tmp_path / "small.onnx")
    np.testing.assert_allclose(network(planes), expected, atol=5e-3)
    assert network(np.zeros((3, 64, 96), np.float32)).shape == (4, 64, 96)
    weights = [weight.name for weight in onnx.load(tmp_path / "small.onnx").graph.initializer]
    assert weights == ["kernel.half"]
