"""Write training samples for the network that ships, with the features of the click encoder.

    python -m models.training.shadow.samples --photos DIR --scenes DIR --out out/samples

The encoder does not learn, so that each sample is encoded once. OUT gets a file for each sample,
in a folder each for outlined photos, composites on photos, and scenes. An interrupted run goes on
where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.training.batch_random import BatchRandom
from models.training.shadow.augmentation import adjust_tones, capture, dilate
from models.training.shadow.batches import (
    NO_SHADOW_RATIO,
    SHADOW_RATIO,
    STRONG_LEVELS,
    VISIBLE_LEVELS,
    PicturePair,
    composite_pairs,
    rendered_pairs,
    rough_mask,
)
from models.training.shadow.compositing import compose
from models.training.shadow.outlined_photos import OUTLINES_FILE, OutlinedObject, read_outlined
from models.training.shadow.scene_pool import RENDERED_SIDE, ScenePool
from segment2inpaint.networks.shadow import VIEW_SIDE, ShadowView, shadow_view, view_features
from segment2inpaint.types import BinaryMask, FloatArray, Image

MIN_OUTLINED_RATIO = 0.04  # outlined area over the object's area, below which presence is open
EDGE_SIGMA = 1.0  # photo px, by which outlines are blurred
AREA_RANGE = (0.003, 0.45)  # of the picture, of objects in scenes
POOLED_SCENES, FLAT_SCENES = 700, 128
PICTURES, PICTURE_SIDE = 8, 320  # of a step; px, side of photos for composites
PRESENT, ABSENT, OPEN = 1.0, 0.0, -1.0


@dataclass(frozen=True, eq=False)
class Sample:
    """The network's input for an object and the wanted answer; arrays are float16.

    ``planes`` and ``features`` are its input. ``target`` (s, s) in [0, 1] is how visibly the object
    changes each pixel, and counts where ``valid`` (s, s) is 1. ``presence`` is ``PRESENT``,
    ``ABSENT`` or ``OPEN``.
    """

    planes: NDArray[np.float16]
    features: NDArray[np.float16]
    target: NDArray[np.float16]
    valid: NDArray[np.float16]
    presence: float


def outlined_sample(outlined: OutlinedObject, mirrored: bool) -> Sample:
    """Return the sample of an outlined object, or of its photo mirrored left to right."""
    image, mask, effect = (
        np.ascontiguousarray(array[:, ::-1]) if mirrored else array
        for array in (outlined.image, outlined.mask, outlined.effect)
    )
    target = cv2.GaussianBlur(effect.astype(np.float32), (0, 0), EDGE_SIGMA)
    presence = PRESENT if effect.sum() > MIN_OUTLINED_RATIO * mask.sum() else OPEN
    return _sample(image, mask, target, mask, presence if effect.any() else ABSENT)


def scene_samples(pool: ScenePool, seed: int) -> Iterator[Sample]:
    """Yield samples of rendered scenes for an even ``seed``, of composites for an odd one."""
    rng = BatchRandom(PICTURES, torch.Generator().manual_seed(seed), (1, 1, 1))
    yield from _pair_samples(
        composite_pairs(pool, rng) if seed % 2 else rendered_pairs(pool, rng), rng
    )


def photo_samples(things: Sequence[OutlinedObject], seed: int) -> Iterator[Sample]:
    """Yield samples of objects of photos composited onto other photos, with drawn shadows."""
    generator = torch.Generator().manual_seed(seed)
    grounds, sources = torch.randint(len(things), (2, PICTURES), generator=generator).tolist()
    rng = BatchRandom(PICTURES, generator, (1, 1, 1))
    ground = _stack([_square(things[i].image) for i in grounds])
    source = _stack([_pad(things[i].image) for i in sources])
    mask = _stack([_pad(things[i].mask.astype(np.uint8) * np.uint8(255)) for i in sources])
    yield from _pair_samples(PicturePair(*compose(ground, source, mask, rng)), rng)


def _square(image: Image) -> Image:
    """Return the middle of a photo as a square of ``PICTURE_SIDE`` px."""
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    middle = image[top : top + side, left : left + side]
    return np.asarray(cv2.resize(middle, (PICTURE_SIDE,) * 2, interpolation=cv2.INTER_AREA))


def _pad(image: Image) -> Image:
    """Return a photo or a mask in the top left corner of a square of ``PICTURE_SIDE`` px."""
    height, width = image.shape[:2]
    side = max(height, width)
    padded = cv2.copyMakeBorder(image, 0, side - height, 0, side - width, cv2.BORDER_CONSTANT)
    return np.asarray(cv2.resize(padded, (PICTURE_SIDE,) * 2, interpolation=cv2.INTER_AREA))


def _stack(pictures: Sequence[Image]) -> torch.Tensor:
    """Return pictures as (n, c, s, s) in [0, 1]."""
    levels = torch.from_numpy(np.stack(pictures)).float() / 255
    return levels.permute(0, 3, 1, 2) if levels.ndim == 4 else levels[:, None]


def _pair_samples(pair: PicturePair, rng: BatchRandom) -> Iterator[Sample]:
    masks = rough_mask(pair.alpha, rng)[:, 0] > 0.5
    photo, clean = adjust_tones((pair.photo, pair.clean), rng)
    changes = ((photo - clean).abs() * 255).amax(1).numpy()
    objects = dilate(pair.alpha)[:, 0].numpy() > 0.02
    for image, mask, thing, change in zip(
        _to_images(capture(photo, rng)), masks.numpy(), objects, changes, strict=True
    ):
        if AREA_RANGE[0] <= mask.mean() <= AREA_RANGE[1]:
            yield _scene_sample(image, mask, thing, change)


def _to_images(pictures: torch.Tensor) -> list[Image]:
    levels = (pictures.clamp(0, 1) * 255).round().byte()
    return list(levels.permute(0, 2, 3, 1).contiguous().numpy())


def _scene_sample(image: Image, mask: BinaryMask, thing: BinaryMask, change: FloatArray) -> Sample:
    change = np.where(mask | thing, 0, cv2.blur(change, (3, 3)))
    low, high = VISIBLE_LEVELS
    target = np.asarray(np.clip((change - low) / (high - low), 0, 1), np.float32)
    strong, visible = ((change > levels).sum() / mask.sum() for levels in (STRONG_LEVELS, low))
    presence = PRESENT if strong > SHADOW_RATIO else ABSENT if visible < NO_SHADOW_RATIO else OPEN
    return _sample(image, mask, target, mask | thing, presence)


def _sample(
    image: Image, mask: BinaryMask, target: FloatArray, things: BinaryMask, presence: float
) -> Sample:
    """Return the sample of an object; what the ``things`` cover does not count."""
    view = shadow_view(image, mask)
    free = ~cv2.dilate(things.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_)
    valid = np.where(_in_view(free, view) > 0.5, np.float16(1), np.float16(0))
    features = view_features(image, view.box)
    return Sample(
        view.planes.astype(np.float16), features.astype(np.float16),
        (_in_view(target, view) * valid).astype(np.float16), valid, presence,
    )  # fmt: skip


def _in_view(values: FloatArray | BinaryMask, view: ShadowView) -> FloatArray:
    """Return values (H, W) of the photo as the network sees them, 0 beyond the photo."""
    height, width = view.size
    seen = np.zeros((VIEW_SIDE, VIEW_SIDE), np.float32)
    part = values[view.box.slices].astype(np.float32)
    seen[:height, :width] = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    return seen


def write(path: Path, sample: Sample) -> None:
    """Write a sample atomically."""
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        np.savez(file, **vars(sample))
    temporary.replace(path)


def read(path: Path) -> Sample:
    """Read a sample of ``write``."""
    with np.load(path) as values:
        arrays = {name: values[name] for name in ("planes", "features", "target", "valid")}
        return Sample(**arrays, presence=float(values["presence"]))


def write_outlined(things: Sequence[OutlinedObject], out: Path) -> None:
    """Write two samples of each outlined object; those that are there are left."""
    out.mkdir(parents=True, exist_ok=True)
    for number, outlined in enumerate(things):
        for mirrored in (False, True):
            path = out / f"{outlined.photo}-{number:04}-{mirrored:d}.npz"
            if not path.exists():
                write(path, outlined_sample(outlined, mirrored))


def write_steps(make: Callable[[int], Iterable[Sample]], out: Path, count: int, seed: int) -> None:
    """Write about ``count`` samples; steps that are there are left."""
    out.mkdir(parents=True, exist_ok=True)
    for step in range(seed, seed + -(-count // PICTURES)):
        if not (out / f"{step:06}-0.npz").exists():
            made = list(make(step))
            for number in reversed(range(len(made))):  # the first file says that all are there
                write(out / f"{step:06}-{number}.npz", made[number])


def read_scenes(folder: Path, seed: int) -> ScenePool:
    """Return scenes that ``render_dataset`` wrote into a folder, and flat ones."""
    pool = ScenePool(POOLED_SCENES, FLAT_SCENES, RENDERED_SIDE, "cpu")
    pool.fill_flat(seed, 32)
    pool.read_rendered(folder, set())
    return pool


@click.command(help=__doc__)
@click.option("--photos", required=True, multiple=True,
              type=click.Path(path_type=Path, exists=True),
              help="Folder of photos with known outlines; may be given twice.")  # fmt: skip
@click.option("--scenes", required=True, type=click.Path(path_type=Path, exists=True),
              help="Folder of rendered scenes.")  # fmt: skip
@click.option("--out", required=True, type=click.Path(path_type=Path))
@click.option(
    "--count",
    default=1800,
    show_default=True,
    help="Samples of scenes, and of composites on photos.",
)
@click.option("--seed", default=0, show_default=True)
def main(photos: tuple[Path, ...], scenes: Path, out: Path, count: int, seed: int) -> None:
    things = list(read_outlined(photos))
    if not things:
        raise click.UsageError(
            f"no photo of {OUTLINES_FILE.name} is in {', '.join(map(str, photos))}"
        )
    write_outlined(things, out / "outlined")
    write_steps(partial(photo_samples, things), out / "composites", count, seed)
    pool = read_scenes(scenes, seed)
    write_steps(partial(scene_samples, pool), out / "scenes", count, seed)


if __name__ == "__main__":
    main()
