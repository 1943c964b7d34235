"""Made scenes: rays against plain geometry, descriptions that hold together, pictures, the farm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.training.stage import farm, rays, stage, things
from models.training.stage.body import CUBE, FRUSTUM, SPHERE, Thing, turned
from models.training.stage.plan import describe

SIDE = 32


def alone(kind: int, lay: np.ndarray, top: float = 1.0) -> rays.Bodies:
    """One body: ``lay`` (3, 4) takes its unit space to the world."""
    back = torch.zeros(1, rays.BODIES, 3, 4)
    back[..., 3] = 10
    row = sum(rays.SLOTS[:kind])
    turn = np.linalg.inv(lay[:, :3])
    back[0, row] = torch.tensor(np.column_stack([turn, -turn @ lay[:, 3]]), dtype=torch.float32)
    tops = torch.ones(1, rays.BODIES)
    tops[0, row] = top
    return rays.Bodies(back, tops)


def inside(kind: int, own: Tensor, top: float) -> Tensor:
    """Which points (3, P) of its unit space are in a body."""
    x, y, z = own
    if kind == SPHERE:
        return x**2 + y**2 + z**2 < 1
    if kind == CUBE:
        return own.abs().amax(0) < 1
    radius = (1 + top) / 2 + (top - 1) / 2 * y
    return (y.abs() < 1) & (x**2 + z**2 < radius**2)


@pytest.mark.parametrize(
    ("kind", "top"), [(SPHERE, 1.0), (CUBE, 1.0), (FRUSTUM, 1.0), (FRUSTUM, 0.3)]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_rays_hit_where_a_march_does(kind: int, top: float, seed: int) -> None:
    dice = np.random.default_rng(seed)
    lay = np.column_stack(
        [turned(*dice.uniform(-2, 2, 3)) @ np.diag(dice.uniform(0.4, 1, 3)), dice.normal(0, 0.2, 3)]
    )
    bodies = alone(kind, lay, top)
    way = torch.tensor(dice.normal(0, 0.25, (3, 400)), dtype=torch.float32)
    way[2] = -1
    start = torch.tensor([0.0, 0, 4])[None, :, None]
    hit = rays.nearest(bodies, start, way[None])
    steps = torch.linspace(1, 7, 3001)
    points = start[0][:, None] + way[:, None] * steps[None, :, None]  # (3, steps, P)
    back = bodies.back[0, sum(rays.SLOTS[:kind])]
    own = torch.einsum("ij,jsp->isp", back[:, :3], points) + back[:, 3, None, None]
    held = inside(kind, own.flatten(1), top).view(3001, -1)
    first = torch.where(held.any(0), steps[held.int().argmax(0)], rays.FAR)
    sure = held.sum(0) != 1  # a march may miss what is thinner than its step
    assert ((hit.far[0] - first).abs() < 0.004)[sure].float().mean() > 0.99
    assert held.any(0).any()
    assert (hit.body[0][held.any(0)] == sum(rays.SLOTS[:kind])).float().mean() > 0.99


@pytest.mark.parametrize(("kind", "top"), [(SPHERE, 1.0), (CUBE, 1.0), (FRUSTUM, 0.4)])
def test_normals_point_out_of_the_body(kind: int, top: float) -> None:
    lay = np.column_stack([turned(0.4, 0.3, 1.0) @ np.diag([0.9, 0.6, 0.5]), [0.1, 0, 0]])
    bodies = alone(kind, lay, top)
    way = torch.tensor(np.random.default_rng(2).normal(0, 0.1, (1, 3, 300)), dtype=torch.float32)
    way[:, 2] = -1
    start = torch.tensor([0.0, 0, 4])[None, :, None]
    hit = rays.nearest(bodies, start, way)
    point = start + hit.far.clamp(max=9)[:, None] * way
    row = torch.zeros_like(hit.body)
    normal = rays.normals(
        bodies.back[row * 0, hit.body], bodies.top[row * 0, hit.body], hit.body, point
    )
    on = hit.far[0] < rays.FAR
    assert on.any()
    torch.testing.assert_close(normal.norm(dim=1)[0][on], torch.ones(int(on.sum())))
    back = bodies.back[0, sum(rays.SLOTS[:kind])]
    for step, held in ((-0.01, True), (0.01, False)):
        own = back[:, :3] @ (point + step * normal)[0][:, on] + back[:, 3:]
        assert (inside(kind, own, top) == held).float().mean() > 0.98


def test_a_seed_determines_a_scene() -> None:
    one, other = (describe(np.random.default_rng(5)) for _ in range(2))
    for name in ("back", "look", "grain", "thing", "part", "eye", "light"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("seed", range(12))
def test_parts_belong_to_one_thing_each(seed: int) -> None:
    made = describe(np.random.default_rng(seed))
    assert np.isfinite(made.back).all()
    assert ((made.thing > 0) == (made.part > 0)).all()
    for part in np.unique(made.part[made.part > 0]):
        assert len(np.unique(made.thing[made.part == part])) == 1
    assert made.thing.any()


@pytest.mark.parametrize("maker", [maker for maker, _ in things.MAKERS])
def test_every_kind_of_thing_stands_on_the_ground(
    maker: Callable[[np.random.Generator], Thing],
) -> None:
    for seed in range(6):
        made = maker(np.random.default_rng(seed))
        low, high = made.size()
        assert low[1] > -0.75
        assert 0.05 < (high - low).max() < 4
        counts = np.bincount(made.kinds, minlength=3)
        assert all(c <= s for c, s in zip(counts, rays.SLOTS, strict=True))


@pytest.fixture(scope="module")
def staged() -> stage.Staged:
    dice = np.random.default_rng(3)
    return stage.render([describe(dice, True) for _ in range(3)], SIDE, gone=True, fine=1, seed=1)


def test_pictures_and_what_is_in_them(staged: stage.Staged) -> None:
    assert staged.clean is not None
    for picture in (staged.photo, staged.clean):
        assert picture.shape == (3, 3, SIDE, SIDE)
        assert picture.min() >= 0
        assert picture.max() <= 1
        assert picture.std() > 0.02
    assert ((staged.thing > 0) == (staged.part > 0)).all()
    assert not staged.thing[~staged.inside].any()


def test_the_clean_picture_lacks_the_thing(staged: stage.Staged) -> None:
    assert staged.clean is not None
    apart = (staged.photo - staged.clean).abs().amax(1)
    on = staged.thing == staged.gone[:, None, None]
    assert on.any()
    assert apart[on].mean() > 5 * apart[~on & staged.inside].mean()


def test_without_anything_gone_both_are_the_same() -> None:
    made = replace(describe(np.random.default_rng(3)), gone=200)
    staged = stage.render([made], SIDE, gone=True, fine=1)
    assert staged.clean is not None
    torch.testing.assert_close(staged.photo, staged.clean)


def test_two_rays_a_side_show_the_same_scene_smoother() -> None:
    made = [describe(np.random.default_rng(8))]
    coarse, fine = (stage.render(made, SIDE, fine=n).photo for n in (1, 2))
    assert (coarse - fine).abs().mean() < 0.06


def test_the_farm_gives_each_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farm, "SIDE", SIDE)
    monkeypatch.setattr(farm, "LOT", 2)
    made = farm.lot(np.random.default_rng(0))
    np.savez(tmp_path / "0-00000.npz", **made)
    (tmp_path / "0-00001.part").write_bytes(b"half")
    known: set[str] = set()
    (read,) = farm.read(tmp_path, known)
    for name, array in made.items():
        np.testing.assert_array_equal(read[name], array)
    assert read["photo"].shape == (2, 3, SIDE, SIDE)
    assert not list(farm.read(tmp_path, known))
