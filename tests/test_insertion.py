"""Pictures that are put in an object's place: geometry, light and shadow."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from node import needs_node
from PIL import Image as Pillow

from segment2inpaint.compositing.contact_shadow import contact_shadow
from segment2inpaint.compositing.insertion import PlacedPicture, insert_picture, place_picture
from segment2inpaint.errors import BadOption
from segment2inpaint.types import (
    Alpha,
    Box,
    Image,
    PicturePlacement,
    ReplacementImage,
    bounding_box,
    changed_pixels,
)

SIZE = (200, 240)
GEOMETRY = Path(__file__).parent.parent / "segment2inpaint/web/static/placement_geometry.js"
boxes = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h),
    st.integers(0, 120), st.integers(0, 100), st.integers(1, 110), st.integers(1, 90),
)  # fmt: skip
sizes = st.tuples(st.integers(1, 60), st.integers(1, 60))
placements = st.builds(
    PicturePlacement,
    at=st.tuples(st.floats(0, 239), st.floats(0, 199)),
    scale=st.floats(0.2, 4),
    angle=st.floats(-360, 360),
    flip=st.booleans(),
)


def smooth_picture(size: tuple[int, int], seed: int = 0) -> ReplacementImage:
    """Return a picture of (h, w) without fine detail, with an opaque and a softer part."""
    rng = np.random.default_rng(seed)
    rgba = rng.integers(0, 256, (3, 3, 4)).astype(np.float32)
    large = cv2.resize(rgba, size[::-1], interpolation=cv2.INTER_LINEAR)
    alpha = np.clip(large[..., 3] / 128, 0.2, 1).astype(np.float32)
    return ReplacementImage(large[..., :3].astype(np.uint8), alpha)


def on_canvas(placed: PlacedPicture, size: tuple[int, int] = SIZE) -> Alpha:
    canvas = np.zeros(size, np.float32)
    canvas[placed.box.slices] = placed.alpha
    return canvas


def in_box(picture: ReplacementImage, box: Box) -> tuple[Box, Image, Alpha]:
    """Return the place, pixels and alpha of a picture scaled by Pillow alone into ``box``."""
    visible = bounding_box(picture.alpha > 0)
    rgba = np.dstack([picture.image, np.rint(picture.alpha * 255).astype(np.uint8)])
    scale = min(box.width / visible.width, box.height / visible.height)
    width, height = max(1, int(visible.width * scale)), max(1, int(visible.height * scale))
    small = Pillow.fromarray(rgba[visible.slices]).convert("RGBa")
    pixels = np.asarray(small.resize((width, height), Pillow.Resampling.LANCZOS).convert("RGBA"))
    x0 = box.x0 + (box.width - width) // 2
    alpha = np.divide(pixels[..., 3], 255, dtype=np.float32)
    return Box(x0, box.y1 - height, x0 + width, box.y1), pixels[..., :3], alpha


def test_a_picture_stands_on_the_lower_edge_of_the_box() -> None:
    """As large as the box allows, trimmed to its outline, centred, on the lower edge."""
    alpha = np.zeros((50, 80), np.float32)
    alpha[10:50, 20:40] = 1
    picture = ReplacementImage(np.full((50, 80, 3), 9, np.uint8), alpha)
    placed = place_picture(picture, Box(100, 100, 160, 180), SIZE, PicturePlacement())
    assert placed.box == Box(110, 100, 150, 180)
    assert (placed.alpha == 1).all()
    assert (placed.image == 9).all()


@given(boxes, sizes, st.sampled_from([0, 360, -360]))
def test_without_a_change_the_pixels_are_those_of_plain_scaling(
    box: Box, size: tuple[int, int], angle: float
) -> None:
    picture = smooth_picture(size)
    place, pixels, alpha = in_box(picture, box)
    center = (place.x0 + place.x1) / 2, (place.y0 + place.y1) / 2
    for at in (None, center):
        placed = place_picture(picture, box, SIZE, PicturePlacement(at=at, angle=angle))
        assert placed.box == place
        assert (placed.image == pixels).all()
        assert (placed.alpha == alpha).all()


@given(boxes, sizes, placements)
def test_what_lies_in_the_photo_does_not_depend_on_its_size(
    box: Box, size: tuple[int, int], placement: PicturePlacement
) -> None:
    """Cutting off at the border of the photo changes no pixel inside."""
    picture, large = smooth_picture(size), (SIZE[0] + 400, SIZE[1] + 400)
    cut = on_canvas(place_picture(picture, box, SIZE, placement))
    whole = on_canvas(place_picture(picture, box, large, placement), large)
    assert abs(cut - whole[: SIZE[0], : SIZE[1]]).max() < 0.03


@given(boxes, sizes, placements)
def test_a_mirrored_picture_that_is_flipped_is_the_picture(
    box: Box, size: tuple[int, int], placement: PicturePlacement
) -> None:
    picture = smooth_picture(size)
    mirrored = ReplacementImage(picture.image[:, ::-1], picture.alpha[:, ::-1])
    other = PicturePlacement(
        placement.at, placement.scale, placement.angle, flip=not placement.flip
    )
    once = place_picture(picture, box, SIZE, placement)
    twice = place_picture(mirrored, box, SIZE, other)
    assert once.box == twice.box
    assert (once.image == twice.image).all()
    assert (once.alpha == twice.alpha).all()


@pytest.mark.parametrize(("angle", "quarters"), [(90, 3), (180, 2), (-90, 1), (270, 1)])
def test_a_quarter_turn_is_clockwise(angle: float, quarters: int) -> None:
    picture = smooth_picture((30, 20))
    box = Box(100, 100, 120, 130)
    at = (110.0, 120.0)
    straight = place_picture(picture, box, SIZE, PicturePlacement(at))
    placed = place_picture(picture, box, SIZE, PicturePlacement(at, angle=angle))
    turned = np.rot90(straight.alpha, quarters)
    rows, columns = np.nonzero(on_canvas(placed) > 0.1)
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == turned.shape
    part = on_canvas(placed)[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert abs(part - turned).max() < 0.03


@given(boxes, sizes, placements)
def test_only_what_the_returned_alpha_covers_is_changed(
    box: Box, size: tuple[int, int], placement: PicturePlacement
) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    lit = PicturePlacement(
        placement.at, placement.scale, placement.angle, blend=0.7, contact_shadow=True
    )
    after = photo.copy()
    alpha = insert_picture(after, np.zeros(SIZE, np.float32), smooth_picture(size), box, lit)
    assert not (changed_pixels(photo, after) & (alpha == 0)).any()
    assert alpha.max() <= 1


def test_the_surroundings_colour_a_blended_picture_and_not_one_that_is_left_alone() -> None:
    photo = np.full((*SIZE, 3), (60, 60, 160), np.uint8)
    picture = ReplacementImage(np.full((20, 20, 3), 200, np.uint8), np.ones((20, 20), np.float32))
    distances = []
    for blend in (0.0, 0.5, 1.0):
        after = photo.copy()
        placement = PicturePlacement((100, 100), blend=blend)
        insert_picture(after, np.zeros(SIZE, np.float32), picture, Box(90, 90, 110, 110), placement)
        distances.append(float(abs(after[100, 100].astype(int) - photo[0, 0]).sum()))
    assert distances[0] == 140 + 140 + 40
    assert 0 <= distances[2] <= 6 < distances[1] < distances[0]


def test_a_blended_picture_that_covers_the_photo_keeps_its_colours() -> None:
    photo = np.zeros((40, 40, 3), np.uint8)
    picture = ReplacementImage(np.full((9, 9, 3), 200, np.uint8), np.ones((9, 9), np.float32))
    placement = PicturePlacement((20, 20), scale=4, blend=1)
    insert_picture(photo, np.zeros((40, 40), np.float32), picture, Box(10, 10, 30, 30), placement)
    assert (photo == 200).all()


def test_the_contact_shadow_lies_at_the_feet_and_fades_out() -> None:
    box = Box(80, 60, 140, 120)
    place, dark = contact_shadow(np.ones((60, 60), np.float32), box, SIZE)
    canvas = np.zeros(SIZE, np.float32)
    canvas[place.slices] = dark
    assert canvas[121, 110] > 0.4
    assert canvas[:100].max() == 0
    assert 0 < canvas[126, 110] < canvas[121, 110]
    assert canvas[140:].max() == 0


def test_a_picture_outside_the_photo_and_one_without_pixels_are_refused() -> None:
    picture, box = smooth_picture((20, 20)), Box(10, 10, 30, 30)
    with pytest.raises(BadOption, match=r"outside the photo: its centre is at 400,10, .*240x200"):
        place_picture(picture, box, SIZE, PicturePlacement((400, 10)))
    hidden = ReplacementImage(picture.image, np.zeros((20, 20), np.float32), "vase.png")
    with pytest.raises(BadOption, match=r"vase\.png is transparent all over"):
        place_picture(hidden, box, SIZE, PicturePlacement())


def test_a_turned_picture_of_which_only_an_empty_corner_lies_in_the_photo_is_refused() -> None:
    picture = ReplacementImage(np.full((20, 20, 3), 9, np.uint8), np.ones((20, 20), np.float32))
    placement = PicturePlacement((-13, -13), angle=45, blend=1, contact_shadow=True)
    with pytest.raises(BadOption, match="outside the photo"):
        place_picture(picture, Box(0, 0, 20, 20), SIZE, placement)


def test_a_picture_a_hundred_times_as_large_is_cut_to_the_photo() -> None:
    placement = PicturePlacement((100, 100), scale=100, angle=10)
    placed = place_picture(smooth_picture((50, 60)), Box(0, 0, 240, 200), SIZE, placement)
    assert placed.box == Box(0, 0, SIZE[1], SIZE[0])


@needs_node
def test_the_page_computes_the_same_rectangles() -> None:
    rng = np.random.default_rng(3)
    cases = []
    for _ in range(60):
        x, y, w, h = (int(v) for v in rng.integers(1, 90, 4))
        size = [int(v) for v in rng.integers(1, 60, 2)]
        at = None if rng.random() < 0.3 else [round(float(v), 1) for v in rng.uniform(40, 150, 2)]
        scale, angle = round(float(rng.uniform(0.2, 2)), 3), float(rng.choice([0, 0, 33, -120]))
        cases.append({"box": [x, y, x + w, y + h], "size": size, "at": at, "scale": scale,
                      "angle": angle})  # fmt: skip
    script = f"""import {{ rectangleOf }} from {json.dumps(GEOMETRY.as_uri())};
        const cases = {json.dumps(cases)};
        console.log(JSON.stringify(cases.map((c) => rectangleOf(c.box, c.size, c))));"""
    command = ["node", "--input-type=module", "-e", script]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    for case, found in zip(cases, json.loads(run.stdout), strict=True):
        picture = ReplacementImage(
            np.zeros((*case["size"][::-1], 3), np.uint8), np.ones(case["size"][::-1], np.float32)
        )
        placement = PicturePlacement(case["at"] and tuple(case["at"]), case["scale"], case["angle"])
        placed = place_picture(picture, Box(*case["box"]), (400, 400), placement)
        turn = np.deg2rad(found["angle"])
        reach = (
            abs(np.cos(turn)) * found["width"] / 2 + abs(np.sin(turn)) * found["height"] / 2,
            abs(np.sin(turn)) * found["width"] / 2 + abs(np.cos(turn)) * found["height"] / 2,
        )
        low = [found["center"][i] - reach[i] for i in (0, 1)]
        high = [found["center"][i] + reach[i] for i in (0, 1)]
        expected = np.clip([*np.floor(low), *np.ceil(high)], 0, 400)
        assert abs(np.array(placed.box) - expected).max() <= (1 if case["angle"] else 0)
