"""Flat scenes: seeds, edges, the photo's place."""

from __future__ import annotations

import pytest
import torch

from models.training.scenes import scenes

pytestmark = pytest.mark.training

torch.set_num_threads(1)  # networks this small are slower on several


@pytest.fixture(scope="module")
def drawn() -> scenes.FlatScenes:
    return scenes.draw_scenes(3, 6, 128)


def test_a_seed_determines_the_scenes(drawn: scenes.FlatScenes) -> None:
    same, other = scenes.draw_scenes(3, 6, 128), scenes.draw_scenes(4, 6, 128)
    for name in ("images", "thing"):
        assert torch.equal(getattr(drawn, name), getattr(same, name))
        assert not torch.equal(getattr(drawn, name), getattr(other, name))


def test_label_borders_are_edges_in_the_picture() -> None:
    """Neighbours with different labels differ more than neighbours with the same one."""
    drawn = scenes.draw_scenes(11, 8, 128)
    change = (drawn.images[:, :, :, 1:] - drawn.images[:, :, :, :-1]).abs().mean(1)
    inside = drawn.images[:, 0] == drawn.images[:, 0].round()
    photo = inside[..., 1:] & inside[..., :-1]
    border = (drawn.thing[..., 1:] != drawn.thing[..., :-1]) & photo
    assert change[border].mean() > 1.5 * change[~border & photo].mean()


def test_photos_begin_at_the_top_left_of_their_frame(drawn: scenes.FlatScenes) -> None:
    inside = (drawn.images == drawn.images.round()).all(1)
    for photo_area, labels in zip(inside, drawn.thing, strict=True):
        height, width = int(photo_area.any(1).sum()), int(photo_area.any(0).sum())
        assert max(height, width) == 128
        assert bool(photo_area[:height, :width].all())
        assert not labels[~photo_area].any()
    assert drawn.images.min() >= 0
    assert drawn.images.max() <= 255
