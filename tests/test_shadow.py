"""The cast shadow: what the shipped network finds on drawn ground, and how it is trained."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import masks
from hypothesis import given, settings

from segment2inpaint import shadow
from segment2inpaint.types import Bits, Image

sys.path.insert(0, str(Path(__file__).parent.parent / "models" / "shadow"))

import casts
import learn
import looks
import unet

SIZE = (200, 260)


def ground() -> Image:
    y = np.arange(SIZE[0])[:, None, None]
    grain = np.random.default_rng(0).normal(0, 4, (*SIZE, 3))
    return (np.array([150, 140, 120]) + y / 8 + grain).clip(0, 255).astype(np.uint8)


def post() -> Bits:
    bits = np.zeros(SIZE, np.bool_)
    bits[50:130, 120:140] = True
    return bits


def laid() -> Bits:
    """The post's shadow, to the right of it and a little towards the viewer."""
    bits = np.zeros(SIZE, np.bool_)
    for up in range(80):
        y, x = 129 + round(0.2 * up), 120 + round(0.8 * up)
        bits[y - 1 : y + 2, x : x + 20] = True
    return bits & ~post()


def scene(*, shaded: bool) -> Image:
    photo = ground().astype(np.float32)
    if shaded:
        photo[laid()] *= 0.6
    photo[post()] = (40, 60, 160)
    return photo.astype(np.uint8)


def test_a_cast_shadow_is_found() -> None:
    cast = shadow.find(scene(shaded=True), post())
    assert cast.certainty >= shadow.SURE
    both, either = cast.bits & laid(), cast.bits | laid()
    assert both.sum() / either.sum() > 0.6
    assert not (cast.bits & post()).any()


def test_where_there_is_none_it_is_not_sure() -> None:
    assert shadow.find(scene(shaded=False), post()).certainty < shadow.SURE


def test_alpha_ends_softly() -> None:
    alpha = shadow.alpha(shadow.Shadow(laid(), 1.0), 10)
    assert (alpha[laid()] == 1).all()
    assert 0 < alpha[(alpha > 0) & ~laid()].min() < 0.1
    none = shadow.alpha(shadow.Shadow(np.zeros(SIZE, np.bool_), 0.0), 10)
    assert none.max() == 0


@pytest.mark.parametrize("full", [False, True])
def test_no_object_and_nothing_but_object_cast_none(full: bool) -> None:
    cast = shadow.find(ground(), np.full(SIZE, full))
    assert cast.certainty == 0
    assert not cast.bits.any()


@settings(max_examples=15)
@given(masks())
def test_any_mask_will_do(bits: Bits) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*bits.shape, 3), np.uint8)
    cast = shadow.find(photo, bits)
    assert cast.bits.shape == bits.shape
    assert not (cast.bits & bits).any()
    assert 0 <= cast.certainty <= 1


def test_the_view_holds_the_object_and_its_surroundings() -> None:
    seen = shadow.view(scene(shaded=False), post())
    assert seen.planes.shape == (shadow.PLANES, shadow.SIDE, shadow.SIDE)
    assert seen.box == (38, 0, 222, 200)  # 82 px more on each side, where the photo has them
    assert seen.size == (160, 147)
    share, inside = seen.planes[5], seen.planes[6]
    assert share.sum() == pytest.approx(post().sum() * (160 / 200) ** 2, rel=0.02)
    assert inside.sum() == 160 * 147
    assert not seen.planes[:, inside == 0].any()
    y, x = np.nonzero(share > 0.5)
    assert abs(seen.planes[7, y, x].mean()) < 0.01
    assert -0.02 < seen.planes[8, y, x].max() < 0.01


def test_numpy_runs_the_network_as_torch_does() -> None:
    torch.manual_seed(0)
    network = unet.Network().train()
    planes = torch.randn(2, shadow.PLANES, shadow.SIDE, shadow.SIDE)
    with torch.no_grad():
        network(planes)  # gives the norms something to fold
        logits, there = network.eval()(planes[:1])
    weights = {name: w.float().numpy() for name, w in unet.folded(network).items()}
    likely, certainty = shadow.network(planes[0].numpy(), weights)
    np.testing.assert_allclose(likely, logits[0].sigmoid().numpy(), atol=0.01)
    assert certainty == pytest.approx(there.sigmoid().item(), abs=0.01)


def test_the_shipped_weights_are_those_of_the_network() -> None:
    made = unet.folded(unet.Network())
    shipped = shadow.weights()
    assert {n: w.shape for n, w in shipped.items()} == {n: tuple(w.shape) for n, w in made.items()}
    assert shadow.WEIGHTS.stat().st_size < 1_100_000


@pytest.fixture(scope="module")
def drawn_source() -> casts.Source:
    """A square thing, lit by the first lamp, on ground that it shades to the right."""
    cover = np.zeros((4, 96, 128), np.float32)
    cover[0, 40:60, 50:60], cover[2] = 1, 1
    cover[2, 40:60, 50:60] = 0
    light = np.full((3, 3, 96, 128, 3), 2000, np.uint16)
    light[::2, 1, 55:60, 60:90] = 0  # gone where the first thing is
    light[[0, 2], :, 40:60, 50:60] = 300
    flat = np.dstack(np.meshgrid(np.arange(128.0), np.arange(96.0))).astype(np.float32)
    render = casts.Render(
        light, cover, np.zeros((96, 128), np.float32), flat, np.zeros((96, 128), np.bool_)
    )
    place = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    texture = np.full((looks.TILE, looks.TILE), 0.5, np.float32)
    return casts.Source([render], [(place, np.ones((60, 80), np.uint8))], [texture])


def test_a_lesson_shows_the_shadow_where_it_is(drawn_source: casts.Source) -> None:
    made = [casts.lesson(drawn_source, np.random.default_rng(i)) for i in range(12)]
    for one in made:
        assert one.planes.shape == (shadow.PLANES, shadow.SIDE, shadow.SIDE)
        assert not one.shadow[one.asked == 0].any()
        assert not one.asked[one.planes[5] > 0.5].any()
        assert not one.asked[one.planes[6] == 0].any()
    assert {0.0, 1.0} <= {one.cast for one in made}


def test_a_thing_darkens_only_what_it_shades(drawn_source: casts.Source) -> None:
    """In any light and paint; under an even sky alone it shades nothing here."""
    shaded = np.zeros((96, 128), np.bool_)
    shaded[55:60, 60:90] = True
    darker = []
    for seed in range(20):
        taken = casts.rendered(drawn_source, np.random.default_rng(seed))
        if taken is None:  # the second thing, which is nowhere
            continue
        at = shaded if taken.share[50, 55] else shaded[:, ::-1]
        free = (taken.share == 0) & ~at
        assert (taken.photo[free] == taken.clean[free]).all()
        darker.append(float((taken.clean - taken.photo)[at].mean()))
    assert min(darker) == 0
    assert max(darker) > 0.05


def test_lessons_hang_on_their_seed_alone(drawn_source: casts.Source) -> None:
    one, same, other = (
        casts.lesson(drawn_source, np.random.default_rng(seed)).planes for seed in (3, 3, 4)
    )
    assert (one == same).all()
    assert (one != other).any()


def test_training_goes_on_where_it_stopped(
    drawn_source: casts.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn, "BLOCK", 2)
    monkeypatch.setattr(learn, "LESSONS", 4)
    monkeypatch.setattr(learn, "BATCH", 2)
    for folder, stops in (("whole", (4,)), ("halves", (2, 4))):
        (tmp_path / folder).mkdir()
        for stop in stops:
            torch.manual_seed(0)
            learn.train(drawn_source, tmp_path / folder, 4, stop)
    whole, halves = (
        (tmp_path / folder / "shadow.safetensors").read_bytes() for folder in ("whole", "halves")
    )
    assert whole == halves
