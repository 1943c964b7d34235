"""Scenes with cutouts: reading, compositing, training on them in one and in two processes."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from pycocotools import mask as coco
from torch import distributed, multiprocessing

from models.training.click import collect_cutouts, cutouts, train
from models.training.click.config import CONFIGS
from models.training.click.cutouts import Appearance, Scene, Store
from models.training.rendering import render_dataset

pytestmark = pytest.mark.training

SIDE = 64
SHORT_CONFIG = replace(
    CONFIGS["small"], batch_size=6, new_scenes=2, pool_size=6, side=SIDE, warmup_steps=1
)
CPU = torch.device("cpu")


def write_picture(
    path: Path, alpha: NDArray[np.uint8], colour: tuple[int, int, int] = (0, 0, 255)
) -> None:
    """Write a picture of one colour (BGR); its lower half is darker."""
    picture = np.zeros((*alpha.shape, 4), np.uint8)
    picture[..., :3] = colour
    picture[len(picture) // 2 :, :, :3] //= 3
    picture[..., 3] = alpha
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)


def disc(side: int = 80) -> NDArray[np.uint8]:
    return cv2.circle(np.zeros((side, side), np.uint8), (side // 2, side // 2), side // 3, 255, -1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write two folders: red and blue discs, and pictures that are no cutouts."""
    red, blue = tmp_path / "cutouts" / "red", tmp_path / "cutouts" / "blue"
    for name in ("1f466.png", "1f466-1f3fb.png", "1f466-1f3ff.png", "dog.png"):
        write_picture(red / name, disc())
    write_picture(blue / "deep" / "ball.png", disc(300), (255, 0, 0))
    write_picture(blue / "flags" / "full.png", np.full((80, 80), 255, np.uint8))
    write_picture(blue / "lines.png", np.diag(np.full(80, 255, np.uint8)))
    write_picture(blue / "shapes" / "star.png", disc())
    write_picture(blue / "empty.png", np.zeros((80, 80), np.uint8))
    write_picture(blue / "small.png", disc(20))
    cv2.imwrite(str(blue / "opaque.png"), np.zeros((80, 80, 3), np.uint8))
    (blue / "broken.png").write_bytes(b"no picture")
    return tmp_path


@pytest.fixture
def store(folder: Path) -> Store:
    return cutouts.read_store(folder, SIDE)


def test_files_that_are_no_cutouts_are_skipped(store: Store) -> None:
    blue, red = store.drawings
    assert [len(drawing) for drawing in blue] == [1]
    assert sorted(len(drawing) for drawing in red) == [1, 3]  # variants of one drawing


def test_cutouts_are_cropped_and_have_parts(store: Store) -> None:
    ball = store.drawings[0][0][0]
    assert ball.colours.shape[:2] == ball.alpha.shape == ball.part.shape
    assert 190 < max(ball.alpha.shape) <= cutouts.MAX_SIDE
    is_object = ball.alpha > 127
    assert is_object[:, 0].any()
    assert ball.part[is_object].all()
    upper, lower = (half[half > 0] for half in np.array_split(ball.part, 2))
    assert np.bincount(upper).argmax() != np.bincount(lower).argmax()
    is_opaque = ball.alpha == 255
    assert (ball.colours[is_opaque][:, 2] >= 84).all()
    assert (ball.colours[is_opaque][:, :2] == 0).all()


def test_labels_are_where_the_cutouts_are(store: Store) -> None:
    photo = np.full((SIDE, SIDE, 3), 128, np.float32)
    empty = np.zeros((SIDE, SIDE), np.uint8)
    unchanged = Appearance(
        recolour=lambda colours, *_: colours,
        texture_factors=lambda *_: np.ones((SIDE, SIDE, 1), np.float32),
        shading_factors=lambda *_: np.ones((SIDE, SIDE), np.float32),
        shadow_map=lambda *_: np.zeros((SIDE, SIDE), np.float32),
    )
    count = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scene = cutouts.compose(store, Scene(photo, empty, empty), rng, unchanged)
        changed = np.abs(scene.photo - 128).max(2) > 30
        is_object = scene.thing > 0
        assert (changed == is_object).mean() > 0.97
        assert (scene.part[is_object] > 0).mean() > 0.9
        assert not scene.part[~is_object].any()
        count += len(np.unique(scene.thing)) - 1
    assert count >= 20
    assert (photo == 128).all()
    assert not empty.any()


def test_the_background_keeps_its_things_unless_it_is_defocused(store: Store) -> None:
    photo, thing = np.zeros((SIDE, SIDE, 3), np.float32), np.zeros((SIDE, SIDE), np.uint8)
    thing[:8] = 7
    results = [
        cutouts.compose(store, Scene(photo, thing, thing), np.random.default_rng(seed)).thing
        for seed in range(24)
    ]
    assert 10 < sum((result == 7).any() for result in results) < 24
    assert all(result.max() <= 7 + cutouts.MAX_CUTOUTS for result in results)


@pytest.fixture
def photos(folder: Path) -> Store:
    """Write a green photo, and a grey one with a white bar and its mask; read them."""
    (folder / "photos").mkdir()
    cv2.imwrite(str(folder / "photos" / "green.png"), np.full((90, 200, 3), (0, 200, 0), np.uint8))
    bar = np.zeros((90, 200), np.uint8)
    bar[30:60, 120:190] = 255
    cv2.imwrite(str(folder / "photos" / "bar.png"), np.dstack([np.maximum(bar, 100)] * 3))
    cv2.imwrite(str(folder / "photos" / "bar.mask.png"), bar)
    (folder / "photos" / "broken.jpg").write_bytes(b"no picture")
    return cutouts.read_store(folder, SIDE)


def test_views_of_photos_contain_their_objects(photos: Store) -> None:
    (bar,), (green,) = photos.masked_photos, photos.other_photos
    assert bar.colours.shape == (128, 284, 3)
    assert not green.part.any()
    masked_views = 0
    for seed in range(30):
        scene = cutouts.random_view(photos, SIDE, np.random.default_rng(seed))
        assert scene.photo.shape == (SIDE, SIDE, 3)
        is_object = scene.thing > 0
        if is_object.any():
            masked_views += 1
            assert (
                is_object.mean() > 0.2
            )  # the whole object: the window is at most 2.5 times as large
            inside, outside = scene.photo[is_object].mean(), scene.photo[~is_object].mean()
            assert inside > 1.3 * outside
        assert ((scene.part > 0) == is_object).all()
    assert 10 < masked_views < 25


def test_photos_are_backgrounds_too(photos: Store) -> None:
    black, thing = np.zeros((SIDE, SIDE, 3), np.float32), np.full((SIDE, SIDE), 7, np.uint8)
    count = 0
    for seed in range(30):
        scene = cutouts.compose(photos, Scene(black, thing, thing), np.random.default_rng(seed))
        background = scene.photo[scene.thing < 2]
        count += len(background) > 0 and float(np.median(background.max(1))) > 30
    assert 6 < count < 24


def test_training_uses_cutouts(store: Store, tmp_path: Path) -> None:
    trainer = train.Trainer(SHORT_CONFIG, CPU, seconds=0.1, store=store)
    for _ in range(3):
        trainer.scenes.add()
    pool = trainer.scenes.cutout_pool
    assert pool.filled == 3 * SHORT_CONFIG.cutout_scenes
    assert pool.thing.amax((1, 2))[: pool.filled].any()
    train.train(trainer, tmp_path, compiled=False)
    assert (tmp_path / "click.pt").exists()


def test_training_starts_from_given_weights(tmp_path: Path) -> None:
    train.train(train.Trainer(SHORT_CONFIG, CPU, seconds=0.1), tmp_path, compiled=False)
    other = train.Trainer(SHORT_CONFIG, CPU, seconds=0.1, seed=5)
    other.load_weights(tmp_path / "click.pt")
    weights = torch.load(tmp_path / "click.pt", weights_only=True)
    for network in (other.network, other.mean):
        for name, value in network.state_dict().items():
            torch.testing.assert_close(value.float(), weights[name])


def run_process(rank: int, folder: str) -> None:
    """Take two steps as one of two processes, and write its weights into the folder."""
    torch.set_num_threads(1)
    directory = Path(folder)
    address = f"file://{directory / 'address'}"
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    trainer = train.Trainer(SHORT_CONFIG, CPU, seconds=600)
    for _ in range(3):
        trainer.scenes.add()
    trainer.train_step()
    trainer.train_step()
    mean_pixel = trainer.scenes.pool.photo.float().mean()
    state = {
        "elapsed": trainer.elapsed,
        "mean_pixel": mean_pixel,
        **dict(trainer.network.named_parameters()),
    }
    torch.save(state, directory / f"{rank}.pt")
    distributed.destroy_process_group()


def test_processes_share_gradients(tmp_path: Path) -> None:
    multiprocessing.spawn(run_process, args=(str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first.pop("mean_pixel") != second.pop("mean_pixel")  # they have different scenes
    assert first.pop("elapsed") == second.pop("elapsed")
    for name, weights in first.items():
        torch.testing.assert_close(weights, second[name], rtol=0, atol=0)


def test_each_file_is_read_by_one_process(tmp_path: Path) -> None:
    for number in range(12):
        np.savez(
            tmp_path / f"0-{number:05d}.npz",
            **dict.fromkeys(render_dataset.ARRAY_NAMES, np.zeros(1)),
        )
    seen_files: list[set[str]] = [set(), set()]
    for rank in (0, 1):
        assert list(render_dataset.read_rendered(tmp_path, seen_files[rank], rank, 2))
    assert not seen_files[0] & seen_files[1]
    assert len(seen_files[0] | seen_files[1]) == 12


def test_pictures_are_collected_from_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages, out = tmp_path / "packages", tmp_path / "out"
    write_picture(packages / "package/assets/1f436-1f3fb.webp", disc())
    write_picture(packages / "usr/share/openclipart/png/animals/fish.png", disc())
    write_picture(packages / "usr/share/tuxpaint/stamps/animals/cow.png", disc())
    write_picture(packages / "usr/share/tuxpaint/stamps/symbols/a.png", disc())
    write_picture(packages / "usr/share/games/wesnoth/1.16/data/x/portraits/elf.png", disc())
    write_picture(packages / "chair.png", disc())
    furniture = packages / "usr/share/sweethome3d/furniture/some.sh3f"
    furniture.parent.mkdir(parents=True)
    with zipfile.ZipFile(furniture, "w") as archive:
        archive.write(packages / "chair.png", "deep/chair.png")
        archive.writestr("chair.obj", "v 0 0 0")
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 255, (90, 120, 3), np.uint8)
    photo[30:60, 40:80] = 255
    data = cv2.imencode(".webp", photo)[1].tobytes()
    resources = packages / "usr/share/gcompris-qt/rcc/erase.rcc"
    resources.parent.mkdir(parents=True)
    resources.write_bytes(b"qres" + data + b"between" + data[:-4] + b"after")
    mask = np.zeros((270, 360), np.uint8, order="F")
    mask[90:180, 120:240] = 1
    key = hashlib.sha256(data).hexdigest()[:16]
    monkeypatch.setattr(collect_cutouts, "MASKS_FILE", tmp_path / "masks.json")
    counts = coco.encode(mask)["counts"].decode()
    collect_cutouts.MASKS_FILE.write_text(json.dumps({key: counts, "another": counts}))
    monkeypatch.setattr(collect_cutouts, "MIN_PHOTO_BYTES", 100)
    monkeypatch.setattr(collect_cutouts, "MIN_WALLPAPER_BYTES", 100)
    assert CliRunner().invoke(collect_cutouts.main, [str(packages), str(out)]).exit_code == 0
    counts_by_folder = {
        p.name: len([*p.rglob("*.png"), *p.rglob("*.webp")]) for p in (out / "cutouts").iterdir()
    }
    folders = ("emoji", "clipart", "stamps", "portraits", "furniture", "shots")
    assert counts_by_folder == dict.fromkeys(folders, 1)
    assert (out / "cutouts" / "emoji" / "package/assets/1f436-1f3fb.webp").exists()
    assert (out / "photos" / f"{key}.webp").read_bytes() == data
    store = cutouts.read_store(out, 64)
    (photo_,) = store.masked_photos
    white = photo_.colours.min(2) > 240
    assert (white == (photo_.part > 0)).mean() > 0.97


def test_the_shipped_masks_can_be_decoded() -> None:
    masks = json.loads(collect_cutouts.MASKS_FILE.read_text())
    assert len(masks) > 100
    for counts in masks.values():
        area = coco.area({"size": (360, 360), "counts": counts})
        assert 500 < area < 0.9 * 360**2
