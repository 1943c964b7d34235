"""Scenes of cutouts for the click network: what is read, what is laid, what processes share."""

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

from models.training.click import cutouts, gather, teach
from models.training.click.cutouts import Scene, Store

SIDE = 64
SHORT = replace(teach.PLANS["small"], batch=6, fresh=2, pool=6, side=SIDE, warmup=1)
CPU = torch.device("cpu")


def drawn(path: Path, share: NDArray[np.uint8], colour: tuple[int, int, int] = (0, 0, 255)) -> None:
    """A picture of one colour (BGR), the lower half darker."""
    picture = np.zeros((*share.shape, 4), np.uint8)
    picture[..., :3] = colour
    picture[len(picture) // 2 :, :, :3] //= 3
    picture[..., 3] = share
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)


def disc(side: int = 80) -> NDArray[np.uint8]:
    return cv2.circle(np.zeros((side, side), np.uint8), (side // 2, side // 2), side // 3, 255, -1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two folders of cutouts, of red discs and blue, and of pictures that are none."""
    red, blue = tmp_path / "cutouts" / "red", tmp_path / "cutouts" / "blue"
    for name in ("1f466.png", "1f466-1f3fb.png", "1f466-1f3ff.png", "dog.png"):
        drawn(red / name, disc())
    drawn(blue / "deep" / "ball.png", disc(300), (255, 0, 0))
    drawn(blue / "flags" / "full.png", np.full((80, 80), 255, np.uint8))
    drawn(blue / "lines.png", np.diag(np.full(80, 255, np.uint8)))
    drawn(blue / "shapes" / "star.png", disc())
    drawn(blue / "empty.png", np.zeros((80, 80), np.uint8))
    drawn(blue / "small.png", disc(20))
    cv2.imwrite(str(blue / "opaque.png"), np.zeros((80, 80, 3), np.uint8))
    (blue / "broken.png").write_bytes(b"no picture")
    return tmp_path


@pytest.fixture
def store(folder: Path) -> Store:
    return cutouts.read(folder, SIDE)


def test_what_is_no_cutout_is_left_out(store: Store) -> None:
    blue, red = store.drawings
    assert [len(drawing) for drawing in blue] == [1]
    assert sorted(len(drawing) for drawing in red) == [1, 3]  # variants of one drawing


def test_cutouts_are_cropped_and_have_parts(store: Store) -> None:
    ball = store.drawings[0][0][0]
    assert ball.colours.shape[:2] == ball.share.shape == ball.part.shape
    assert 190 < max(ball.share.shape) <= cutouts.LONGEST
    there = ball.share > 127
    assert there[:, 0].any()
    assert ball.part[there].all()
    upper, lower = (half[half > 0] for half in np.array_split(ball.part, 2))
    assert np.bincount(upper).argmax() != np.bincount(lower).argmax()
    solid = ball.share == 255
    assert (ball.colours[solid][:, 2] >= 84).all()
    assert (ball.colours[solid][:, :2] == 0).all()


def test_scenes_say_where_the_cutouts_lie(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = np.full((SIDE, SIDE, 3), 128, np.float32)
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    for name in ("_coloured", "_texture", "_shading", "_shadow"):
        fixed = {
            "_coloured": lambda colours, *_: colours,
            "_texture": lambda *_: np.ones((SIDE, SIDE, 1), np.float32),
            "_shading": lambda *_: np.ones((SIDE, SIDE), np.float32),
            "_shadow": lambda *_: np.zeros((SIDE, SIDE), np.float32),
        }
        monkeypatch.setattr(cutouts, name, fixed[name])
    found = 0
    for seed in range(20):
        dice = np.random.default_rng(seed)
        made = cutouts.compose(store, Scene(plain, nothing, nothing), dice)
        changed = np.abs(made.photo - 128).max(2) > 30
        there = made.thing > 0
        assert (changed == there).mean() > 0.97
        assert (made.part[there] > 0).mean() > 0.9
        assert not made.part[~there].any()
        found += len(np.unique(made.thing)) - 1
    assert found >= 20
    assert (plain == 128).all()
    assert not nothing.any()


def test_the_ground_keeps_its_things_unless_out_of_focus(store: Store) -> None:
    photo, thing = np.zeros((SIDE, SIDE, 3), np.float32), np.zeros((SIDE, SIDE), np.uint8)
    thing[:8] = 7
    kept = [
        cutouts.compose(store, Scene(photo, thing, thing), np.random.default_rng(seed)).thing
        for seed in range(24)
    ]
    assert 10 < sum((k == 7).any() for k in kept) < 24
    assert all(k.max() <= 7 + cutouts.MOST for k in kept)


@pytest.fixture
def photos(folder: Path) -> Store:
    """A green photo, and a grey one with a white bar whose mask is there."""
    (folder / "photos").mkdir()
    cv2.imwrite(str(folder / "photos" / "green.png"), np.full((90, 200, 3), (0, 200, 0), np.uint8))
    bar = np.zeros((90, 200), np.uint8)
    bar[30:60, 120:190] = 255
    cv2.imwrite(str(folder / "photos" / "bar.png"), np.dstack([np.maximum(bar, 100)] * 3))
    cv2.imwrite(str(folder / "photos" / "bar.mask.png"), bar)
    (folder / "photos" / "broken.jpg").write_bytes(b"no picture")
    return cutouts.read(folder, SIDE)


def test_photos_are_shown_with_their_objects(photos: Store) -> None:
    (bar,), (green,) = photos.told, photos.others
    assert bar.colours.shape == (128, 284, 3)
    assert not green.part.any()
    seen = 0
    for seed in range(30):
        made = cutouts.view(photos, SIDE, np.random.default_rng(seed))
        assert made.photo.shape == (SIDE, SIDE, 3)
        there = made.thing > 0
        if there.any():
            seen += 1
            assert there.mean() > 0.2  # all of it: the window is 2.5 of its areas at most
            light, dark = made.photo[there].mean(), made.photo[~there].mean()
            assert light > 1.3 * dark
        assert ((made.part > 0) == there).all()
    assert 10 < seen < 25


def test_photos_are_grounds_too(photos: Store) -> None:
    black, thing = np.zeros((SIDE, SIDE, 3), np.float32), np.full((SIDE, SIDE), 7, np.uint8)
    lit = 0
    for seed in range(30):
        made = cutouts.compose(photos, Scene(black, thing, thing), np.random.default_rng(seed))
        ground = made.photo[made.thing < 2]
        lit += len(ground) > 0 and float(np.median(ground.max(1))) > 30
    assert 6 < lit < 24


def test_a_training_asks_about_cutouts(store: Store, tmp_path: Path) -> None:
    training = teach.Training(SHORT, CPU, seconds=0.1, store=store)
    for _ in range(3):
        training.renew()
    assert training.laid.filled == 3 * SHORT.laid
    assert training.laid.thing.amax((1, 2))[: training.laid.filled].any()
    teach.run(training, tmp_path, compiled=False)
    assert (tmp_path / "click.pt").exists()


def test_a_training_begins_with_weights_of_another(tmp_path: Path) -> None:
    teach.run(teach.Training(SHORT, CPU, seconds=0.1), tmp_path, compiled=False)
    other = teach.Training(SHORT, CPU, seconds=0.1, seed=5)
    other.begin(tmp_path / "click.pt")
    weights = torch.load(tmp_path / "click.pt", weights_only=True)
    for network in (other.network, other.mean):
        for name, value in network.state_dict().items():
            torch.testing.assert_close(value.float(), weights[name])


def step(rank: int, folder: str) -> None:
    """Two steps of one of two processes; their weights into the folder."""
    torch.set_num_threads(1)
    where = Path(folder)
    meeting = f"file://{where / 'meeting'}"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    training = teach.Training(SHORT, CPU, seconds=600)
    for _ in range(3):
        training.renew()
    training.advance()
    training.advance()
    pool = training.pool.photo.float().mean()
    held = {"spent": training.spent, "pool": pool, **dict(training.network.named_parameters())}
    torch.save(held, where / f"{rank}.pt")
    distributed.destroy_process_group()


def test_processes_share_what_they_learn(tmp_path: Path) -> None:
    multiprocessing.spawn(step, args=(str(tmp_path),), nprocs=2)
    one, two = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert one.pop("pool") != two.pop("pool")  # they ask about other scenes
    assert one.pop("spent") == two.pop("spent")
    for name, weights in one.items():
        torch.testing.assert_close(weights, two[name], rtol=0, atol=0)


def test_files_are_dealt_to_processes(tmp_path: Path) -> None:
    for number in range(12):
        np.savez(tmp_path / f"0-{number:05d}.npz", **dict.fromkeys(teach.farm.NAMES, np.zeros(1)))
    known: list[set[str]] = [set(), set()]
    for rank in (0, 1):
        assert list(teach.farm.read(tmp_path, known[rank], rank, 2))
    assert not known[0] & known[1]
    assert len(known[0] | known[1]) == 12


def test_pictures_come_from_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages, out = tmp_path / "packages", tmp_path / "out"
    drawn(packages / "package/assets/1f436-1f3fb.webp", disc())
    drawn(packages / "usr/share/openclipart/png/animals/fish.png", disc())
    drawn(packages / "usr/share/tuxpaint/stamps/animals/cow.png", disc())
    drawn(packages / "usr/share/tuxpaint/stamps/symbols/a.png", disc())
    drawn(packages / "usr/share/games/wesnoth/1.16/data/x/portraits/elf.png", disc())
    drawn(packages / "chair.png", disc())
    furniture = packages / "usr/share/sweethome3d/furniture/some.sh3f"
    furniture.parent.mkdir(parents=True)
    with zipfile.ZipFile(furniture, "w") as held:
        held.write(packages / "chair.png", "deep/chair.png")
        held.writestr("chair.obj", "v 0 0 0")
    dice = np.random.default_rng(0)
    photo = dice.integers(0, 255, (90, 120, 3), np.uint8)
    photo[30:60, 40:80] = 255
    data = cv2.imencode(".webp", photo)[1].tobytes()
    lessons = packages / "usr/share/gcompris-qt/rcc/erase.rcc"
    lessons.parent.mkdir(parents=True)
    lessons.write_bytes(b"qres" + data + b"between" + data[:-4] + b"after")
    bits = np.zeros((270, 360), np.uint8, order="F")
    bits[90:180, 120:240] = 1
    key = hashlib.sha256(data).hexdigest()[:16]
    monkeypatch.setattr(gather, "SHOTS", tmp_path / "shots.json")
    counts = coco.encode(bits)["counts"].decode()
    gather.SHOTS.write_text(json.dumps({key: counts, "another": counts}))
    monkeypatch.setattr(gather, "LEAST", (100, 100))
    assert CliRunner().invoke(gather.main, [str(packages), str(out)]).exit_code == 0
    names = {
        p.name: len([*p.rglob("*.png"), *p.rglob("*.webp")]) for p in (out / "cutouts").iterdir()
    }
    made = ("emoji", "clipart", "stamps", "portraits", "furniture", "shots")
    assert names == dict.fromkeys(made, 1)
    assert (out / "cutouts" / "emoji" / "package/assets/1f436-1f3fb.webp").exists()
    assert (out / "photos" / f"{key}.webp").read_bytes() == data
    read = cutouts.read(out, 64)
    (shot,) = read.told
    white = shot.colours.min(2) > 240
    assert (white == (shot.part > 0)).mean() > 0.97


def test_masks_of_photos_can_be_read() -> None:
    told = json.loads(gather.SHOTS.read_text())
    assert len(told) > 100
    for counts in told.values():
        area = coco.area({"size": (360, 360), "counts": counts})
        assert 500 < area < 0.9 * 360**2
