"""Drawn scenes for training: seeds, nested labels, edges."""

from __future__ import annotations

import pytest
import torch

from models.training.scenes import scenes

torch.set_num_threads(1)  # layers this small are slower on several


@pytest.fixture(scope="module")
def made() -> scenes.Scenes:
    return scenes.make(3, 6, 128)


def test_a_seed_makes_the_same_scenes(made: scenes.Scenes) -> None:
    again, other = scenes.make(3, 6, 128), scenes.make(4, 6, 128)
    for name in ("images", "whole", "part", "mark"):
        assert torch.equal(getattr(made, name), getattr(again, name))
        assert not torch.equal(getattr(made, name), getattr(other, name))


def test_marks_lie_in_parts_and_parts_in_objects(made: scenes.Scenes) -> None:
    """Each in exactly one; and all three levels are there, with more than one part an object."""
    several = 0
    for inner, outer in ((made.mark, made.part), (made.part, made.whole)):
        for i in range(len(inner)):
            for number in inner[i].unique().tolist()[1:]:
                assert len(outer[i][inner[i] == number].unique()) == 1 or inner is made.mark
                assert bool((outer[i][inner[i] == number] > 0).all())
        assert bool((inner > 0).any())
    for i in range(len(made.part)):
        for number in made.whole[i].unique().tolist()[1:]:
            several += len(made.part[i][made.whole[i] == number].unique()) > 1
    assert several > 3


def test_edges_in_the_picture_are_those_of_the_masks() -> None:
    """Neighbours in different objects differ more than neighbours in the same one."""
    made = scenes.make(11, 8, 128)
    step = (made.images[:, :, :, 1:] - made.images[:, :, :, :-1]).abs().mean(1)
    inside = made.images[:, 0] == made.images[:, 0].round()
    photo = inside[..., 1:] & inside[..., :-1]
    edge = (made.whole[..., 1:] != made.whole[..., :-1]) & photo
    assert step[edge].mean() > 1.5 * step[~edge & photo].mean()


def test_pictures_are_photos_that_begin_at_the_top_left(made: scenes.Scenes) -> None:
    inside = (made.images == made.images.round()).all(1)
    for rows, labels in zip(inside, made.whole, strict=True):
        high, wide = int(rows.any(1).sum()), int(rows.any(0).sum())
        assert max(high, wide) == 128
        assert bool(rows[:high, :wide].all())
        assert not labels[~rows].any()
    assert made.images.min() >= 0
    assert made.images.max() <= 255
