"""Rendered scenes: rays against plain geometry, valid descriptions, pictures, files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.training.rendering import rays, render_dataset, renderer, things
from models.training.rendering.description import describe
from models.training.rendering.thing import CUBE, FRUSTUM, SPHERE, Thing, rotation

pytestmark = pytest.mark.training

SIDE = 32


def single_body(kind: int, transform: np.ndarray, top_radius: float = 1.0) -> rays.Bodies:
    """Return one body; ``transform`` (3, 4) takes its unit space to the world."""
    to_local = torch.zeros(1, rays.BODY_COUNT, 3, 4)
    to_local[..., 3] = 10
    index = sum(rays.MAX_BODIES[:kind])
    inverse = np.linalg.inv(transform[:, :3])
    to_local[0, index] = torch.tensor(
        np.column_stack([inverse, -inverse @ transform[:, 3]]), dtype=torch.float32
    )
    tops = torch.ones(1, rays.BODY_COUNT)
    tops[0, index] = top_radius
    return rays.Bodies(to_local, tops)


def is_inside(kind: int, local_points: Tensor, top_radius: float) -> Tensor:
    """Return which points (3, P) of its unit space are in a body."""
    x, y, z = local_points
    if kind == SPHERE:
        return x**2 + y**2 + z**2 < 1
    if kind == CUBE:
        return local_points.abs().amax(0) < 1
    radius = (1 + top_radius) / 2 + (top_radius - 1) / 2 * y
    return (y.abs() < 1) & (x**2 + z**2 < radius**2)


@pytest.mark.parametrize(
    ("kind", "top"), [(SPHERE, 1.0), (CUBE, 1.0), (FRUSTUM, 1.0), (FRUSTUM, 0.3)]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_rays_hit_where_ray_marching_does(kind: int, top: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    transform = np.column_stack(
        [rotation(*rng.uniform(-2, 2, 3)) @ np.diag(rng.uniform(0.4, 1, 3)), rng.normal(0, 0.2, 3)]
    )
    bodies = single_body(kind, transform, top)
    direction = torch.tensor(rng.normal(0, 0.25, (3, 400)), dtype=torch.float32)
    direction[2] = -1
    origin = torch.tensor([0.0, 0, 4])[None, :, None]
    hit = rays.nearest_hit(bodies, origin, direction[None])
    steps = torch.linspace(1, 7, 3001)
    points = origin[0][:, None] + direction[:, None] * steps[None, :, None]  # (3, steps, P)
    to_local = bodies.to_local[0, sum(rays.MAX_BODIES[:kind])]
    local_points = torch.einsum("ij,jsp->isp", to_local[:, :3], points) + to_local[:, 3, None, None]
    within = is_inside(kind, local_points.flatten(1), top).view(3001, -1)
    expected = torch.where(within.any(0), steps[within.int().argmax(0)], rays.NO_HIT)
    is_thick = within.sum(0) != 1  # ray marching misses what is thinner than its step
    assert ((hit.distance[0] - expected).abs() < 0.004)[is_thick].float().mean() > 0.99
    assert within.any(0).any()
    assert (hit.body[0][within.any(0)] == sum(rays.MAX_BODIES[:kind])).float().mean() > 0.99


@pytest.mark.parametrize(("kind", "top"), [(SPHERE, 1.0), (CUBE, 1.0), (FRUSTUM, 0.4)])
def test_normals_point_out_of_the_body(kind: int, top: float) -> None:
    transform = np.column_stack([rotation(0.4, 0.3, 1.0) @ np.diag([0.9, 0.6, 0.5]), [0.1, 0, 0]])
    bodies = single_body(kind, transform, top)
    direction = torch.tensor(
        np.random.default_rng(2).normal(0, 0.1, (1, 3, 300)), dtype=torch.float32
    )
    direction[:, 2] = -1
    origin = torch.tensor([0.0, 0, 4])[None, :, None]
    hit = rays.nearest_hit(bodies, origin, direction)
    point = origin + hit.distance.clamp(max=9)[:, None] * direction
    rows = torch.zeros_like(hit.body)
    normal = rays.normals(
        bodies.to_local[rows * 0, hit.body], bodies.top_radius[rows * 0, hit.body], hit.body, point
    )
    is_hit = hit.distance[0] < rays.NO_HIT
    assert is_hit.any()
    torch.testing.assert_close(normal.norm(dim=1)[0][is_hit], torch.ones(int(is_hit.sum())))
    to_local = bodies.to_local[0, sum(rays.MAX_BODIES[:kind])]
    for step, expected in ((-0.01, True), (0.01, False)):
        local_points = to_local[:, :3] @ (point + step * normal)[0][:, is_hit] + to_local[:, 3:]
        assert (is_inside(kind, local_points, top) == expected).float().mean() > 0.98


def test_a_seed_determines_a_scene() -> None:
    first, second = (describe(np.random.default_rng(5)) for _ in range(2))
    for name in ("to_local", "material", "to_texture", "thing", "eye", "light"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("seed", range(12))
def test_things_are_numbered_from_one_and_lie_at_finite_places(seed: int) -> None:
    scene = describe(np.random.default_rng(seed))
    assert np.isfinite(scene.to_local).all()
    numbers = np.unique(scene.thing[scene.thing > 0])
    assert numbers.tolist() == list(range(1, len(numbers) + 1)) != []


@pytest.mark.parametrize("maker", [maker for maker, _ in things.MAKERS])
def test_every_kind_of_thing_is_of_sensible_size_and_fits_the_body_table(
    maker: Callable[[np.random.Generator], Thing],
) -> None:
    for seed in range(6):
        thing = maker(np.random.default_rng(seed))
        low, high = thing.bounds()
        assert low[1] > -0.75
        assert 0.05 < (high - low).max() < 4
        counts = np.bincount(thing.kinds, minlength=3)
        assert all(c <= s for c, s in zip(counts, rays.MAX_BODIES, strict=True))


@pytest.fixture(scope="module")
def scenes() -> renderer.RenderedScenes:
    rng = np.random.default_rng(3)
    return renderer.render(
        [describe(rng, True) for _ in range(3)], SIDE, clean_plate=True, supersampling=1, seed=1
    )


def test_pictures_and_labels_have_the_stated_ranges(scenes: renderer.RenderedScenes) -> None:
    assert scenes.clean is not None
    for picture in (scenes.photo, scenes.clean):
        assert picture.shape == (3, 3, SIDE, SIDE)
        assert picture.min() >= 0
        assert picture.max() <= 1
        assert picture.std() > 0.02
    assert not scenes.thing[~scenes.inside].any()


def test_the_clean_plate_lacks_the_removed_thing(scenes: renderer.RenderedScenes) -> None:
    assert scenes.clean is not None
    change = (scenes.photo - scenes.clean).abs().amax(1)
    is_removed = scenes.thing == scenes.removed[:, None, None]
    assert is_removed.any()
    assert change[is_removed].mean() > 5 * change[~is_removed & scenes.inside].mean()


def test_the_clean_plate_equals_the_photo_if_nothing_is_removed() -> None:
    description = replace(describe(np.random.default_rng(3)), removed=200)
    scenes = renderer.render([description], SIDE, clean_plate=True, supersampling=1)
    assert scenes.clean is not None
    torch.testing.assert_close(scenes.photo, scenes.clean)


def roughness(photo: Tensor) -> Tensor:
    """Return the mean difference of neighbours."""
    return photo.diff(dim=3).abs().mean()


def test_supersampling_shows_the_same_scene_smoother() -> None:
    scene, other = ([describe(np.random.default_rng(seed))] for seed in (8, 9))
    coarse, fine = (renderer.render(scene, SIDE, supersampling=n).photo for n in (1, 2))
    different = renderer.render(other, SIDE, supersampling=1).photo
    assert (coarse - fine).abs().mean() < 0.4 * (coarse - different).abs().mean()
    assert roughness(fine) < roughness(coarse)


def test_each_file_is_read_once(tmp_path: Path) -> None:
    arrays = render_dataset.render_batch(np.random.default_rng(0), count=2, side=SIDE)
    np.savez(tmp_path / "0-00000.npz", **arrays)
    (tmp_path / "0-00001.part").write_bytes(b"half")
    seen_files: set[str] = set()
    (read,) = render_dataset.read_rendered(tmp_path, seen_files)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
    assert read["photo"].shape == (2, 3, SIDE, SIDE)
    assert not list(render_dataset.read_rendered(tmp_path, seen_files))
