"""The bounded store of photos, packed masks, result patches, tiles and file names."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import masks
from hypothesis import given
from hypothesis import strategies as st

from segment2inpaint import images
from segment2inpaint.types import BinaryMask, Box, Detection
from segment2inpaint.web import tiles
from segment2inpaint.web.app_state import file_response
from segment2inpaint.web.limits import Limits
from segment2inpaint.web.request_builder import safe_file_name
from segment2inpaint.web.session import NotFound, PackedMask, ResultPatch, ServerBusy, SessionStore


def black_photo(side: int = 10) -> images.Photo:
    return images.photo_from_array(np.zeros((side, side, 3), np.uint8))


# --- the store -------------------------------------------------------------------------------


def test_the_least_recently_used_photo_is_dropped_when_there_are_too_many() -> None:
    store = SessionStore(Limits(photos=2))
    first, second = store.add(black_photo()), store.add(black_photo())
    store.get(first.id)
    third = store.add(black_photo())
    with pytest.raises(NotFound):
        store.get(second.id)
    assert store.get(first.id) is first
    assert store.get(third.id) is third


def test_memory_is_bounded_and_photos_with_running_jobs_stay() -> None:
    store = SessionStore(Limits(memory=3 * 300 + 50))
    sessions = [store.add(black_photo()) for _ in range(3)]
    sessions[0].running_jobs = 1
    sessions.append(store.add(black_photo()))
    assert len(store) == 3
    assert store.memory_bytes <= 950
    assert store.get(sessions[0].id)
    for session in sessions:
        session.running_jobs = 1
    with pytest.raises(ServerBusy):
        store.add(black_photo())
    assert len(store) == 3


def test_a_photo_that_was_just_used_is_not_dropped_for_one_that_keeps_it() -> None:
    now = [0.0]
    store = SessionStore(Limits(photos=2), lambda: now[0])
    first, second = store.add(black_photo()), store.add(black_photo())
    now[0] = 10
    store.get(second.id)
    now[0] = 15
    third = store.add(black_photo(), keep=8)
    with pytest.raises(NotFound):
        store.get(first.id)
    with pytest.raises(ServerBusy):
        store.add(black_photo(), keep=8)
    assert store.get(second.id) is second
    assert store.get(third.id) is third


def test_idle_photos_are_dropped() -> None:
    now = [0.0]
    store = SessionStore(Limits(idle=60), lambda: now[0])
    old = store.add(black_photo())
    now[0] = 61
    new = store.add(black_photo())
    assert store.get(new.id)
    with pytest.raises(NotFound):
        store.get(old.id)


def test_a_session_keeps_a_bounded_number_of_masks_with_unique_ids() -> None:
    session = SessionStore(Limits(masks=3)).add(black_photo())
    mask = Detection(np.ones((10, 10), np.bool_))
    ids = [session.add_mask(mask) for _ in range(5)]
    assert len(session.masks) == 3
    assert len(set(ids)) == 5
    assert min(map(len, ids)) == 22
    with pytest.raises(NotFound):
        session.get_mask(ids[0])


# --- masks, patches, tiles -------------------------------------------------------------------


@given(masks())
def test_a_packed_mask_unpacks_to_itself(mask: BinaryMask) -> None:
    packed = PackedMask.pack(Detection(mask, 0.5, 1.0))
    assert (packed.unpack() == mask).all()
    assert packed.bits.nbytes <= mask.size // 8 + 1


@given(masks(60), st.integers(0, 3))
def test_a_patch_applied_to_its_photo_is_the_result(mask: BinaryMask, level: int) -> None:
    """Tiles show the same pixels."""
    photo = images.photo_from_array(np.zeros((*mask.shape, 3), np.uint8))
    alpha = mask.astype(np.float32)
    image = np.where(mask[..., None], 200, 0).astype(np.uint8).repeat(3, 2)[..., :3]
    patch = ResultPatch.crop(image, alpha)
    assert (patch.apply(photo)[0] == image).all()
    assert (patch.apply(photo)[1] == alpha).all()
    whole = Box(0, 0, mask.shape[1], mask.shape[0])
    assert (tiles.paste_patch(photo.image, whole, patch) == image).all()
    assert tiles.downscale(image, level).shape[0] == max(1, -(-mask.shape[0] >> level))


# --- names of files --------------------------------------------------------------------------


def test_file_names_from_clients_are_made_safe() -> None:
    assert safe_file_name("../../etc/passwd") == "passwd"
    assert safe_file_name(r"C:\Users\me\a.jpg") == "a.jpg"
    assert safe_file_name('a"\r\nSet-Cookie: x.jpg') == 'a"__Set-Cookie: x.jpg'
    assert safe_file_name("it's a $ball & 写真.jpg") == "it's a $ball & 写真.jpg"
    assert safe_file_name("a\u202egpj.exe") == "a_gpj.exe"
    assert safe_file_name("..") == safe_file_name("") == "photo"
    assert len(safe_file_name("x" * 500 + ".jpg")) == 200


def test_a_download_keeps_its_name_in_a_safe_header() -> None:
    """A header holds ASCII only, and a name must not end it."""
    ascii_name = file_response(b"", "JPEG", "a photo_out").headers["content-disposition"]
    assert ascii_name == 'attachment; filename="a photo_out.jpg"'
    other = file_response(b"", "PNG", 'ä";\r\n').headers["content-disposition"]
    assert other == "attachment; filename=\"_____.png\"; filename*=UTF-8''%C3%A4%22%3B%0D%0A.png"
