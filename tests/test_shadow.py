"""The cast shadow: what the shipped network finds on drawn ground, and how it is trained."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import masks
from hypothesis import given, settings
from safetensors.numpy import load_file

from models.training.shadow import casting, chance, learn, lots, pool, unet, views
from segment2inpaint.effects import shadow
from segment2inpaint.types import BinaryMask, Image

SIZE = (200, 260)


def ground() -> Image:
    y = np.arange(SIZE[0])[:, None, None]
    grain = np.random.default_rng(0).normal(0, 4, (*SIZE, 3))
    return (np.array([150, 140, 120]) + y / 8 + grain).clip(0, 255).astype(np.uint8)


def post() -> BinaryMask:
    bits = np.zeros(SIZE, np.bool_)
    bits[50:130, 120:140] = True
    return bits


def laid() -> BinaryMask:
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
    cast = shadow.find_shadow(scene(shaded=True), post())
    assert cast.certainty >= shadow.SURE
    both, either = cast.mask & laid(), cast.mask | laid()
    assert both.sum() / either.sum() > 0.6
    assert not (cast.mask & post()).any()


def test_where_there_is_none_it_is_not_sure() -> None:
    assert shadow.find_shadow(scene(shaded=False), post()).certainty < shadow.SURE


def test_alpha_ends_softly() -> None:
    alpha = shadow.shadow_alpha(shadow.Shadow(laid(), 1.0), 10)
    assert (alpha[laid()] == 1).all()
    assert 0 < alpha[(alpha > 0) & ~laid()].min() < 0.1
    none = shadow.shadow_alpha(shadow.Shadow(np.zeros(SIZE, np.bool_), 0.0), 10)
    assert none.max() == 0


@pytest.mark.parametrize("full", [False, True])
def test_no_object_and_nothing_but_object_cast_none(full: bool) -> None:
    cast = shadow.find_shadow(ground(), np.full(SIZE, full))
    assert cast.certainty == 0
    assert not cast.mask.any()


@settings(max_examples=15)
@given(masks())
def test_any_mask_will_do(bits: BinaryMask) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*bits.shape, 3), np.uint8)
    cast = shadow.find_shadow(photo, bits)
    assert cast.mask.shape == bits.shape
    assert not (cast.mask & bits).any()
    assert 0 <= cast.certainty <= 1


def test_the_view_holds_the_object_and_its_surroundings() -> None:
    seen = shadow.shadow_input(scene(shaded=False), post())
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


def test_training_sees_photos_as_the_package_does() -> None:
    photo, bits = cv2.GaussianBlur(scene(shaded=True)[:, :200], (0, 0), 2), post()[:, :200]
    seen = shadow.shadow_input(photo, bits)
    edges = views.Edges(*(torch.full((1, 1, 1), float(n)) for n in (0, 0, 200, 200)))
    share = torch.from_numpy(bits).float()[None]
    frame = views.framed(share, edges)
    shown = torch.from_numpy(photo.transpose(2, 0, 1) / 255).float()[None]
    crop, own = views.cropped(torch.cat([shown, share[:, None]], 1), frame).split([3, 1], 1)
    planes = views.planes(crop, own[:, 0], frame)[0].numpy()
    assert np.abs(planes - seen.planes).mean((1, 2)).max() < 0.02
    np.testing.assert_allclose(planes[6:9], seen.planes[6:9], atol=1e-3)


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
    assert shadow.WEIGHTS.stat().st_size < 4_000_000


def test_weights_are_given_back_to_a_network() -> None:
    torch.manual_seed(0)
    network, again = unet.Network(), unet.Network()
    planes = torch.randn(2, shadow.PLANES, shadow.SIDE, shadow.SIDE)
    unet.unfold(again, unet.folded(network), planes)
    for one, same in zip(network.eval()(planes), again.eval()(planes), strict=True):
        np.testing.assert_allclose(same.detach(), one.detach(), atol=0.02)


@pytest.fixture(scope="module")
def pictures() -> pool.Pool:
    made = pool.Pool(4, 4, 48, "cpu")
    made.flatten(0, 4)
    made.add(next(pool.described(0, 3, 0)))
    return made


def lessons(pictures: pool.Pool, count: int, seed: int) -> lots.Lot:
    return lots.lot(pictures, count, torch.Generator().manual_seed(seed))


def test_a_staged_picture_is_known_with_and_without_its_thing(pictures: pool.Pool) -> None:
    assert pictures.filled == 3
    own = pictures.thing[:3] == pictures.gone[:3, None, None]
    apart = (pictures.photo[:3].float() - pictures.clean[:3].float()).abs().amax(1)
    assert apart[own].mean() > 3 * apart[~own].mean()


def test_a_lesson_asks_beside_the_object_and_inside_the_photo(pictures: pool.Pool) -> None:
    made = lessons(pictures, 40, 0)
    assert made.planes.shape == (40, unet.PLANES, unet.SIDE, unet.SIDE)
    assert torch.isfinite(made.planes).all()
    assert not made.effect[made.asked == 0].any()
    assert not made.asked[made.planes[:, 5] > 0.5].any()
    assert not made.asked[made.planes[:, 6] == 0].any()
    assert {0.0, 1.0} <= set(made.cast[made.sure > 0].tolist())


def test_pictures_made_ahead_are_read_once(pictures: pool.Pool, tmp_path: Path) -> None:
    made = pictures.photo[:3].numpy(), pictures.clean[:3].numpy(), pictures.thing[:3].numpy()
    named = dict(zip(("photo", "clean", "thing"), made, strict=True))
    np.savez(tmp_path / "0-00000.npz", **named, part=made[2], inside=made[2])
    held, known = pool.Pool(4, 1, 48, "cpu"), set[str]()
    for _ in range(2):
        held.read(tmp_path, known)
        assert held.filled == 3
    assert (held.clean[:3] == pictures.clean[:3]).all()


def test_lessons_hang_on_their_seed_alone(pictures: pool.Pool) -> None:
    one, same, other = (lessons(pictures, 2, seed).planes for seed in (3, 3, 4))
    assert (one == same).all()
    assert (one != other).any()


def test_a_laid_shadow_darkens_the_ground_it_falls_on() -> None:
    mask = torch.zeros(40, 1, 64, 64)
    mask[:, :, 20:40, 24:40] = 1
    dice = chance.Chance(40, torch.Generator().manual_seed(0))
    grey = torch.full((40, 3, 64, 64), 0.7)
    photo, clean, share = casting.composed(grey, grey, mask, dice)
    assert photo.shape == clean.shape == (40, 3, casting.SIDE, casting.SIDE)
    beside = (share.amax(1) == 0) & ((photo - clean).abs().amax(1) > 0.02)
    assert 0.4 < (beside.sum((1, 2)) > 10).float().mean() < 1
    assert not torch.isnan(photo).any()


def test_the_rate_falls_to_nothing_as_time_goes_by() -> None:
    assert learn.rated(0, 0.0) < learn.rated(10_000, 0.0) == learn.RATE
    assert learn.rated(10_000, 1.0) == pytest.approx(0)


def test_training_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(learn.PLANS, "toy", learn.Plan(2, 48, 4, 4, 1, 1, 5))
    first = learn.Run(learn.PLANS["toy"], tmp_path, 0, "cpu", 0)
    first.learn(first.spent() + 1e-3)
    again = learn.Run(learn.PLANS["toy"], tmp_path, 0, "cpu", 0)
    assert again.step == first.step == 1
    assert again.before > 0
    kept = load_file(tmp_path / "shadow.safetensors")
    made = unet.folded(again.mean)
    assert all((kept[name] == w.numpy()).all() for name, w in made.items())
