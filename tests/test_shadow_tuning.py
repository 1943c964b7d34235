"""Tests of the second stage of the shadow network: outlined photos, features, and export."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from shadow_scene import post_mask, scene, shadow_mask

from models.training.shadow import outlined_photos, samples, scene_pool, tune, unet
from models.training.shadow.feature_unet import FeatureShadowNetwork
from segment2inpaint.networks.any_size import load_network
from segment2inpaint.networks.onnx import OnnxNetwork
from segment2inpaint.networks.shadow import FEATURE_COUNT, FEATURES_SIDE

pytestmark = pytest.mark.training
CELLS = FEATURES_SIDE // 16


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a photo of a post and its mask, and a photo with two polygons."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("post", "pair"):
        cv2.imwrite(str(folder / f"{name}.jpg"), scene(shaded=True)[..., ::-1])
    cv2.imwrite(str(folder / "post.png"), post_mask() * np.uint8(255))
    (folder / "pair.txt").write_text("0 0.1 0.1 0.3 0.1 0.3 0.5\n24 0.6 0.6 0.9 0.6 0.9 0.9\n")
    return folder


@pytest.fixture
def outlines(tmp_path: Path) -> Path:
    path = tmp_path / "outlines.json"
    square = [[10, 10], [30, 10], [30, 30], [10, 30]]
    path.write_text(json.dumps({"post": {"0": [square]}, "pair": {"1": []}, "absent": {"0": []}}))
    return path


def test_outlines_are_read_with_their_objects(photos: Path, outlines: Path) -> None:
    pair, post = outlined_photos.read_outlined([photos], outlines)
    assert (pair.photo, post.photo) == ("pair", "post")
    assert not pair.effect.any()
    ys, xs = np.nonzero(pair.mask)
    assert xs.min() > 0.5 * pair.mask.shape[1]  # the second polygon
    assert ys.min() > 0.5 * pair.mask.shape[0]
    assert (post.mask == post_mask()).all()
    assert post.effect[20, 20]
    assert post.effect.sum() == pytest.approx(21**2, rel=0.05)
    assert not (post.effect & post.mask).any()


def test_a_broken_photo_is_told_by_its_name(photos: Path, outlines: Path) -> None:
    (photos / "post.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"post\.png: not an image"):
        list(outlined_photos.read_outlined([photos], outlines))


def test_the_committed_outlines_lie_in_photos_and_have_both_answers() -> None:
    listed = json.loads(outlined_photos.OUTLINES_FILE.read_text())
    polygons = [effects for photo in listed.values() for effects in photo.values()]
    with_effect = [effects for effects in polygons if effects]
    assert 0.1 < len(with_effect) / len(polygons) < 0.5
    corners = np.concatenate([np.array(p) for effects in with_effect for p in effects])
    assert corners.min() >= -10
    assert corners.max() <= 650  # px, COCO's photos have a long side of 640


def outlined(effect: bool) -> outlined_photos.OutlinedObject:
    shadow = shadow_mask() if effect else np.zeros_like(post_mask())
    return outlined_photos.OutlinedObject("post", scene(shaded=effect), post_mask(), shadow)


def test_a_sample_holds_target_and_presence() -> None:
    present, absent = (samples.outlined_sample(outlined(e), mirrored=False) for e in (True, False))
    assert present.presence == samples.PRESENT
    assert absent.presence == samples.ABSENT
    assert not absent.target.any()
    assert 0.9 < present.target.max() <= 1
    assert not (present.target * (1 - present.valid)).any()
    assert present.features.shape == (FEATURE_COUNT, CELLS, CELLS)


def test_a_mirrored_sample_is_the_sample_mirrored() -> None:
    one, other = (samples.outlined_sample(outlined(True), mirrored=m) for m in (False, True))
    width = int(one.planes[6, 0].sum())
    mirrored = other.target[:, :width][:, ::-1]
    assert np.abs(one.target[:, :width].astype(float) - mirrored).mean() < 0.01


def test_a_sliver_of_a_shadow_leaves_the_presence_open() -> None:
    sliver = np.zeros_like(post_mask())
    sliver[0, :3] = True
    one = outlined_photos.OutlinedObject("post", scene(shaded=True), post_mask(), sliver)
    assert samples.outlined_sample(one, mirrored=False).presence == samples.OPEN


def test_written_samples_are_read_again_and_not_made_twice(tmp_path: Path) -> None:
    things = [outlined(True)]
    samples.write_outlined(things, tmp_path)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["post-0000-0.npz", "post-0000-1.npz"]
    times = [file.stat().st_mtime_ns for file in files]
    samples.write_outlined(things, tmp_path)
    assert [file.stat().st_mtime_ns for file in files] == times
    expected, read = samples.outlined_sample(things[0], mirrored=False), samples.read(files[0])
    assert (read.target == expected.target).all()
    assert read.presence == samples.PRESENT


def test_photos_without_outlines_are_told(photos: Path, tmp_path: Path) -> None:
    options = ["--photos", str(photos), "--scenes", str(tmp_path), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(samples.main, options)
    assert result.exit_code == 2
    assert "no photo of outlines.json is in" in result.output


@pytest.fixture(scope="module")
def pool() -> scene_pool.ScenePool:
    pool = scene_pool.ScenePool(4, 4, 96, "cpu")
    pool.fill_flat(0, 4)
    pool.add(next(scene_pool.description_batches(0, 3, 0)))
    return pool


def test_scenes_give_samples_that_depend_on_their_seed(pool: scene_pool.ScenePool) -> None:
    for seed in (0, 1):
        first, again = (list(samples.scene_samples(pool, seed)) for _ in range(2))
        assert first
        for one, other in zip(first, again, strict=True):
            assert (one.planes == other.planes).all()
            assert one.presence in (samples.PRESENT, samples.ABSENT, samples.OPEN)
            assert not (one.target * (1 - one.valid)).any()


def test_composites_on_photos_depend_on_their_seed() -> None:
    things = [outlined(True), outlined(False)]
    first, again, other = (list(samples.photo_samples(things, seed)) for seed in (0, 0, 1))
    assert first
    for one, two in zip(first, again, strict=True):
        assert (one.planes == two.planes).all()
    assert (first[0].planes != other[0].planes).any()
    assert {samples.PRESENT} <= {sample.presence for sample in first + other}


def test_features_change_nothing_at_the_start() -> None:
    network = FeatureShadowNetwork().eval()
    planes = torch.randn(1, unet.INPUT_PLANES, unet.INPUT_SIDE, unet.INPUT_SIDE)
    with torch.no_grad():
        expected = network.unet(planes)
        found = network(planes, torch.randn(1, FEATURE_COUNT, CELLS, CELLS))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_varied_batch_keeps_its_shapes_and_targets_in_range() -> None:
    batch, features = tune.collate([samples.outlined_sample(outlined(True), mirrored=False)] * 3)
    torch.manual_seed(0)
    varied, moved = tune.vary(tune.FeatureBatch(batch, features))
    assert varied.planes.shape == batch.planes.shape
    assert moved.shape == features.shape
    assert (varied.planes[0] - varied.planes[1]).abs().max() > 0.1
    assert varied.target.min() >= 0
    assert varied.target.max() <= 1


def test_tuning_resumes_and_writes_the_network_as_it_ships(tmp_path: Path) -> None:
    folder = tmp_path / "samples"
    present = samples.outlined_sample(outlined(True), mirrored=False)
    absent = samples.outlined_sample(outlined(False), mirrored=False)
    names = [f"p{i}-{i:04}-0.npz" for i in range(16)]
    assert 0 < sum(tune.is_held_out(Path(name)) for name in names) < len(names) - 4
    for kind in ("outlined", "composites", "scenes"):
        (folder / kind).mkdir(parents=True)
        for number, name in enumerate(names):
            samples.write(folder / kind / name, (present, absent)[number % 2])
    save_file(unet.fold_batch_norm(unet.ShadowNetwork()), tmp_path / "start.safetensors")
    folds = tune.read_folds(folder, use_all=False)
    tuner = tune.Tuner(folds, 0, tmp_path / "start.safetensors")
    losses = tuner.train_step(4)
    assert np.isfinite(losses).all()
    out = tmp_path / "run"
    out.mkdir()
    tuner.save(out / "checkpoint.pt")
    options = ["--samples", str(folder), "--out", str(out), "--steps", "2"]
    result = CliRunner().invoke(tune.main, options, catch_exceptions=False)
    assert result.exit_code == 0
    network = OnnxNetwork(out / "shadow.onnx")
    inputs = {"planes": present.planes, "features": present.features}
    probability, certainty = network.run(
        **{name: array[None].astype(np.float32) for name, array in inputs.items()}
    )
    assert probability.shape == (1, unet.INPUT_SIDE, unet.INPUT_SIDE)
    assert certainty.shape == (1,)
    shipped = load_network("shadow").run(
        **{name: array[None].astype(np.float32) for name, array in inputs.items()}
    )
    assert [values.shape for values in shipped] == [probability.shape, certainty.shape]
