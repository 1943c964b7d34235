"""What the server is made of: the bounded store, packed masks, outlines, commands."""

from __future__ import annotations

import shlex
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import masks
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

pytest.importorskip("pydantic", reason="the page needs the extra [web]")
import cv2
from web_server import scene

from segment2inpaint import images, inpaint
from segment2inpaint.cli import edit, main
from segment2inpaint.cli.build_request import load_inputs
from segment2inpaint.pipeline import refined_alpha
from segment2inpaint.types import (
    BinaryMask,
    Box,
    Color,
    Detection,
    Everything,
    Fill,
    Length,
    Points,
    Refine,
    Request,
    Text,
)
from segment2inpaint.web import contours, quick_preview, tiles
from segment2inpaint.web.app_state import file_of
from segment2inpaint.web.command_line import command
from segment2inpaint.web.limits import Limits
from segment2inpaint.web.request_builder import plain_name
from segment2inpaint.web.session import NotFound, PackedMask, ResultPatch, ServerBusy, SessionStore


def photo(side: int = 10) -> images.Photo:
    return images.photo_of(np.zeros((side, side, 3), np.uint8))


# --- the store -------------------------------------------------------------------------------


def test_the_oldest_photo_goes_when_there_are_too_many() -> None:
    store = SessionStore(Limits(photos=2))
    first, second = store.add(photo()), store.add(photo())
    store.get(first.id)
    third = store.add(photo())
    with pytest.raises(NotFound):
        store.get(second.id)
    assert store.get(first.id) is first
    assert store.get(third.id) is third


def test_memory_is_bounded_and_what_works_stays() -> None:
    store = SessionStore(Limits(memory=3 * 300 + 50))
    desks = [store.add(photo()) for _ in range(3)]
    desks[0].busy = 1
    store.add(photo())
    assert len(store) == 3
    assert store.bytes <= 950
    assert store.get(desks[0].id)
    for desk in list(store._desks.values()):
        desk.busy = 1
    with pytest.raises(ServerBusy):
        store.add(photo())
    assert len(store) == 3


def test_idle_photos_go() -> None:
    now = [0.0]
    store = SessionStore(Limits(idle=60), lambda: now[0])
    old = store.add(photo())
    now[0] = 61
    new = store.add(photo())
    assert store.get(new.id)
    with pytest.raises(NotFound):
        store.get(old.id)


def test_masks_and_ids_of_a_desk_are_bounded() -> None:
    desk = SessionStore(Limits(masks=3)).add(photo())
    mask = Detection(np.ones((10, 10), np.bool_))
    names = [desk.keep_mask(mask) for _ in range(5)]
    assert len(desk.masks) == 3
    assert len(set(names)) == 5
    assert min(map(len, names)) == 22
    with pytest.raises(NotFound):
        desk.mask(names[0])


@given(masks())
def test_a_kept_mask_comes_back(bits: BinaryMask) -> None:
    kept = PackedMask.of(Detection(bits, 0.5, 1.0))
    assert (kept.bits() == bits).all()
    assert kept.packed.nbytes <= bits.size // 8 + 1


@given(masks(60), st.integers(0, 3))
def test_a_patch_is_the_result(bits: BinaryMask, level: int) -> None:
    """Over its photo it is the whole result, and tiles show just that."""
    base = images.photo_of(np.zeros((*bits.shape, 3), np.uint8))
    alpha = bits.astype(np.float32)
    image = np.where(bits[..., None], 200, 0).astype(np.uint8).repeat(3, 2)[..., :3]
    patch = ResultPatch.of(image, alpha)
    assert (patch.over(base)[0] == image).all()
    assert (patch.over(base)[1] == alpha).all()
    whole = Box(0, 0, bits.shape[1], bits.shape[0])
    assert (tiles.pasted(base.image, whole, patch) == image).all()
    assert tiles.reduced(image, level).shape[0] == max(1, -(-bits.shape[0] >> level))


# --- outlines --------------------------------------------------------------------------------


def filled(paths: list[list[int]], size: tuple[int, ...]) -> BinaryMask:
    drawn = np.zeros(size, np.uint8)
    lines = [np.array(path, np.int32).reshape(-1, 1, 2) for path in paths]
    cv2.drawContours(drawn, lines, -1, 1, cv2.FILLED)
    return drawn.astype(np.bool_)


def test_outlines_filled_are_the_mask() -> None:
    """With its hole, wherever its corner is."""
    y, x = np.mgrid[:90, :120]
    bits = ((x - 60) ** 2 + (y - 45) ** 2 < 1600) & ((x - 60) ** 2 + (y - 45) ** 2 > 200)
    got = filled(contours.paths(bits), bits.shape)
    assert (got & bits).sum() / (got | bits).sum() > 0.96
    moved = contours.paths(bits[5:, 20:], (20, 5))
    assert (filled(moved, bits.shape) & bits).sum() / bits.sum() > 0.96


def test_outlines_of_noise_are_bounded() -> None:
    bits = np.random.default_rng(0).random((600, 800)) > 0.5
    assert sum(map(len, contours.paths(bits))) <= contours.NUMBERS


@given(masks(80), st.sampled_from(["auto", "0px", "5px"]), st.booleans())
def test_the_outline_is_that_of_the_pipeline(bits: BinaryMask, dilate: str, invert: bool) -> None:
    """Though it works in a window: the radii are the same, and so is what the outline encloses."""
    how = Refine(Length.parse(dilate), invert=invert)
    image = np.zeros((*bits.shape, 3), np.uint8)
    try:
        alpha, wide, soft = refined_alpha([Detection(bits)], [], how)
    except Exception as error:  # noqa: BLE001
        with pytest.raises(type(error)):
            contours.changed(image, [Detection(bits)], [], how, 1.0)
        return
    got = contours.changed(image, [Detection(bits)], [], how, 1.0)
    assert (got.dilate, got.feather) == (wide, soft)
    whole = np.zeros_like(alpha)
    whole[got.box.slices] = got.alpha
    assert (whole == alpha).all()


def test_a_rough_filling_covers_the_mask() -> None:
    """On the disc it is the ground's colour, beside it see-through."""
    image = scene()
    y, x = np.mgrid[:120, :160]
    bits = (x - 80) ** 2 + (y - 60) ** 2 < 17**2
    soft = contours.changed(image, [Detection(bits)], [], Refine(Length(3, "px")), 1.0)
    got = np.asarray(Pillow.open(BytesIO(quick_preview.filled(image, soft, inpaint.load("telea")))))
    box = quick_preview.around(soft, (120, 160))
    assert got.shape == (box.height, box.width, 4)
    assert got[60 - box.y0, 80 - box.x0, 3] == 255
    assert got[0, 0, 3] == 0
    assert abs(got[60 - box.y0, 80 - box.x0, :3].astype(int) - 116).max() < 15


def test_strokes_are_as_wide_as_they_say() -> None:
    bits = np.zeros((50, 60), np.bool_)
    drawn = contours.stroked(bits, [([(10, 25), (50, 25)], 5, False)])
    assert 9 <= drawn[:, 30].sum() <= 12
    assert drawn[25, 6]
    assert not drawn[25, 3]
    gone = contours.stroked(drawn, [([(30, 25)], 8, True)])
    assert not gone[25, 30]
    assert gone[25, 12]
    assert not bits.any()


# --- commands --------------------------------------------------------------------------------

near = st.tuples(st.integers(0, 159), st.integers(0, 119))
clicks = st.lists(near, min_size=1, max_size=3, unique=True).map(tuple)
sizes = st.sampled_from(["auto", "part", "object", "whole"])
objects = st.one_of(
    st.builds(Points, clicks, st.lists(near, max_size=2).map(tuple), sizes).map(lambda p: (p,)),
    st.lists(st.builds(Points, near.map(lambda p: (p,))), min_size=2, max_size=3).map(tuple),
    st.lists(st.builds(Box, *[st.integers(0, 99)] * 4), min_size=1, max_size=2).map(tuple),
    st.builds(Color, near, st.none(), st.none() | st.floats(0, 90), st.booleans()).map(
        lambda p: (p,)
    ),
    st.builds(Color, st.none(), st.tuples(*[st.integers(0, 255)] * 3)).map(lambda p: (p,)),
    st.builds(Text, st.sampled_from(["dog", "a 'red' rose", "-x"])).map(lambda p: (p,)),
    st.builds(Everything, st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple)).map(
        lambda p: (p,)
    ),
)
lengths = st.sampled_from([Length(), Length(12, "px"), Length(2.5, "%")])
refines = st.builds(
    Refine, lengths, lengths, st.booleans(), st.booleans(), st.none() | st.booleans(), st.booleans()
)
fills = st.builds(
    Fill,
    prompt=st.none() | st.sampled_from(["a rose", "it's; rm -rf"]),
    strength=st.none() | st.floats(0.1, 1),
    seed=st.integers(0, 9),
    padding_mask_crop=st.none() | st.integers(0, 50),
    candidates=st.integers(1, 3),
)
requests = st.builds(
    Request, objects, refines, fills, st.sampled_from(["auto", "grabcut"]),
    st.sampled_from(["auto", "telea"]), st.booleans(), st.integers(1, 3),
)  # fmt: skip


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "a photo.png"
    images.write(path, images.photo_of(scene()), scene(), np.zeros((120, 160), np.float32))
    return path


@given(request=requests)
def test_the_command_says_just_the_request(picture: Path, request: Request) -> None:
    """Read by the command line it is the request again, whatever is in its texts."""
    line = command(request, str(picture), "out.png")
    assert line is not None
    got: list[Request] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edit, "_edit", lambda given: got.append(load_inputs(given)[0]))
        result = CliRunner().invoke(main, shlex.split(line)[1:])
    assert result.exit_code == 0, result.output
    assert got == [request]


def test_what_options_cannot_say_is_no_command() -> None:
    two = (Points(((1, 2), (3, 4))), Points(((5, 6),)))
    assert command(Request(two), "a.png", "b.png") is None


def test_names_of_files_are_harmless() -> None:
    assert plain_name("../../etc/passwd") == "passwd"
    assert plain_name(r"C:\Users\me\a.jpg") == "a.jpg"
    assert plain_name('a"\r\nSet-Cookie: x.jpg') == 'a"__Set-Cookie: x.jpg'
    assert plain_name("it's a $ball & 写真.jpg") == "it's a $ball & 写真.jpg"
    assert plain_name("a\u202egpj.exe") == "a_gpj.exe"
    assert plain_name("..") == plain_name("") == "photo"
    assert len(plain_name("x" * 500 + ".jpg")) == 200


def test_a_download_keeps_its_name() -> None:
    """In letters that a header cannot hold, and with nothing that ends the header."""
    plain = file_of(b"", "JPEG", "a photo_out").headers["content-disposition"]
    assert plain == 'attachment; filename="a photo_out.jpg"'
    odd = file_of(b"", "PNG", 'ä";\r\n').headers["content-disposition"]
    assert odd == "attachment; filename=\"_____.png\"; filename*=UTF-8''%C3%A4%22%3B%0D%0A.png"
    line = command(Request((Box(0, 0, 5, 5),)), "-o.jpg", "-x.jpg")
    assert line == "segment2inpaint remove ./-o.jpg -b 0,0,5,5 -o ./-x.jpg"
