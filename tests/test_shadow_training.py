"""Tests of the first stage of the shadow network: synthetic scenes and the U-Net."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from shadow_scene import post_mask, scene

from models.training.batch_random import BatchRandom
from models.training.shadow import batches, compositing, network_input, scene_pool, train, unet
from segment2inpaint.networks.shadow import shadow_view

pytestmark = pytest.mark.training


def test_training_and_package_give_the_network_the_same_input() -> None:
    photo = cv2.GaussianBlur(scene(shaded=True)[:, :200], (0, 0), 2)
    mask = post_mask()[:, :200]
    expected = shadow_view(photo, mask).planes
    edges = network_input.PhotoEdges(*(torch.full((1, 1, 1), float(n)) for n in (0, 0, 200, 200)))
    coverage = torch.from_numpy(mask).float()[None]
    frame = network_input.view_frame(coverage, edges)
    image = torch.from_numpy(photo.transpose(2, 0, 1) / 255).float()[None]
    layers = network_input.crop_views(torch.cat([image, coverage[:, None]], 1), frame)
    crop, object_crop = layers.split([3, 1], 1)
    planes = network_input.input_planes(crop, object_crop[:, 0], frame)[0].numpy()
    assert np.abs(planes - expected).mean((1, 2)).max() < 0.02
    np.testing.assert_allclose(planes[6:9], expected[6:9], atol=1e-3)


def test_unfolded_weights_give_the_same_network() -> None:
    torch.manual_seed(0)
    network, restored = unet.ShadowNetwork(), unet.ShadowNetwork()
    planes = torch.randn(2, unet.INPUT_PLANES, unet.INPUT_SIDE, unet.INPUT_SIDE)
    unet.unfold_batch_norm(restored, unet.fold_batch_norm(network), planes)
    outputs = zip(network.eval()(planes), restored.eval()(planes), strict=True)
    for expected, output in outputs:
        np.testing.assert_allclose(output.detach(), expected.detach(), atol=0.02)


@pytest.fixture(scope="module")
def scenes() -> scene_pool.ScenePool:
    pool = scene_pool.ScenePool(4, 4, 48, "cpu")
    pool.fill_flat(0, 4)
    pool.add(next(scene_pool.description_batches(0, 3, 0)))
    return pool


def make_batch(scenes: scene_pool.ScenePool, count: int, seed: int) -> batches.Batch:
    return batches.make_batch(scenes, count, torch.Generator().manual_seed(seed))


def test_a_rendered_scene_comes_with_and_without_its_object(scenes: scene_pool.ScenePool) -> None:
    assert scenes.filled == 3
    object_mask = scenes.thing[:3] == scenes.removed[:3, None, None]
    difference = (scenes.photo[:3].float() - scenes.clean[:3].float()).abs().amax(1)
    assert difference[object_mask].mean() > 3 * difference[~object_mask].mean()


def test_targets_lie_outside_the_object_and_inside_the_photo(scenes: scene_pool.ScenePool) -> None:
    batch = make_batch(scenes, 40, 0)
    assert batch.planes.shape == (40, unet.INPUT_PLANES, unet.INPUT_SIDE, unet.INPUT_SIDE)
    assert torch.isfinite(batch.planes).all()
    assert not batch.target[batch.valid == 0].any()
    assert not batch.valid[batch.planes[:, 5] > 0.5].any()
    assert not batch.valid[batch.planes[:, 6] == 0].any()
    assert {0.0, 1.0} <= set(batch.has_shadow[batch.has_shadow_valid > 0].tolist())


def test_rendered_scenes_are_read_once(scenes: scene_pool.ScenePool, tmp_path: Path) -> None:
    arrays = {name: getattr(scenes, name)[:3].numpy() for name in ("photo", "clean", "thing")}
    np.savez(tmp_path / "0-00000.npz", **arrays)
    pool, read_files = scene_pool.ScenePool(4, 1, 48, "cpu"), set[str]()
    for _ in range(2):
        pool.read_rendered(tmp_path, read_files)
        assert pool.filled == 3
    assert (pool.clean[:3] == scenes.clean[:3]).all()


def test_batches_depend_on_their_seed_alone(scenes: scene_pool.ScenePool) -> None:
    first, same_seed, other_seed = (make_batch(scenes, 2, seed).planes for seed in (3, 3, 4))
    assert (first == same_seed).all()
    assert (first != other_seed).any()


def test_a_composited_shadow_darkens_the_ground() -> None:
    mask = torch.zeros(40, 1, 64, 64)
    mask[:, :, 20:40, 24:40] = 1
    random = BatchRandom(40, torch.Generator().manual_seed(0), (1, 1, 1))
    gray = torch.full((40, 3, 64, 64), 0.7)
    photo, clean, coverage = compositing.compose(gray, gray, mask, random)
    side = compositing.COMPOSITE_SIDE
    assert photo.shape == clean.shape == (40, 3, side, side)
    outside = (coverage.amax(1) == 0) & ((photo - clean).abs().amax(1) > 0.02)
    assert 0.4 < (outside.sum((1, 2)) > 10).float().mean() < 1
    assert not torch.isnan(photo).any()


def test_the_learning_rate_falls_to_zero_at_the_end() -> None:
    assert train.learning_rate(0, 0.0) < train.learning_rate(10_000, 0.0) == train.LEARNING_RATE
    assert train.learning_rate(10_000, 1.0) == pytest.approx(0)


def test_training_resumes_where_it_stopped(tmp_path: Path) -> None:
    config = train.TrainingConfig(2, 48, 4, 4, 1, 1, 5)
    first = train.Trainer(config, tmp_path, 0, "cpu", 0)
    first.train(first.elapsed() + 1e-3)
    resumed = train.Trainer(config, tmp_path, 0, "cpu", 0)
    assert resumed.step == first.step == 1
    assert resumed.earlier_seconds > 0
    saved = load_file(tmp_path / "shadow.safetensors")
    expected = unet.fold_batch_norm(resumed.mean)
    assert all((saved[name] == w.numpy()).all() for name, w in expected.items())
