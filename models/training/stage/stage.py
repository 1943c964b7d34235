"""Pictures of made scenes, with what is where in them, many at once.

Rays are cast through the bodies of a scene (``rays``) and shaded: a sun with soft shadows, the
sky's light with what hides it, highlights, mirrors, fog, a lens that is sharp at one distance.
Nothing is read from anywhere.

    python -m models.training.stage.stage sheet.png      # look at some, and count how many a second
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.training.stage.plan import LIGHT, Description, describe
from models.training.stage.rays import FAR, Bodies, Hit, moved, nearest, normals
from models.training.stage.textures import banks, colours, split

FINE = 2  # rays a pixel, along each side
SKY = 2  # times as many directions of the sky are tried
LOT = 4096  # rays at once, on a CPU


@dataclass(frozen=True, eq=False)
class Staged:
    """n pictures in frames of s px, in whose middle the photo lies.

    ``photo`` (n, 3, s, s) in [0, 1], as displayed, and ``clean``, the same without the thing
    ``gone`` (n,), or None. ``inside`` (n, s, s) bool is the photo. ``thing`` and ``part`` (n, s, s)
    uint8 number what is at each pixel, 0 for nothing; ``blurred`` (n, s, s): out of focus, px.
    """

    photo: Tensor
    clean: Tensor | None
    inside: Tensor
    thing: Tensor
    part: Tensor
    blurred: Tensor
    gone: Tensor


class _Scenes:
    """Descriptions side by side."""

    def __init__(self, many: Sequence[Description], device: torch.device, seed: int) -> None:
        def stack(name: str) -> Tensor:
            return torch.as_tensor(np.stack([getattr(d, name) for d in many])).to(device)

        self.n, self.device = len(many), device
        self.bodies = Bodies(stack("back"), stack("top"))
        self.look, self.grain, self.eye, self.turn = map(stack, ("look", "grain", "eye", "turn"))
        self.thing, self.part = stack("thing"), stack("part")
        self.zoom = torch.tensor([d.zoom for d in many], device=device)
        self.shape = torch.tensor([d.shape for d in many], device=device)
        self.gone = torch.tensor([d.gone for d in many], device=device)
        light, at = stack("light"), 0
        self.light: dict[str, Tensor] = {}
        for name, size in LIGHT.items():
            self.light[name] = light[:, at : at + size, None]
            at += size
        self.dice = torch.Generator(device).manual_seed(seed)
        self.noise, self.letters = banks(self.n, self.dice)

    def without(self, number: Tensor) -> Bodies:
        """The bodies but those of a thing of each scene, which are put nowhere."""
        gone = (self.thing == number[:, None])[..., None, None]
        nowhere = torch.zeros(3, 4, device=self.device)
        nowhere[:, 3] = 10
        return Bodies(torch.where(gone, nowhere, self.bodies.back), self.bodies.top)

    def of(self, table: Tensor, body: Tensor) -> Tensor:
        """Rows (n, P, ...) of a table (n, K, ...) for bodies (n, P)."""
        return table[torch.arange(self.n, device=self.device)[:, None], body]


cast = nearest  # may be compiled


def fast() -> None:
    """Cast rays by a compiled kernel from now on: half a minute first, then 50 times as fast."""
    global cast
    cast = torch.compile(nearest, dynamic=False)


def render(
    many: Sequence[Description], side: int, device: str | torch.device = "cpu", gone: bool = False,
    seed: int = 0, fine: int = FINE,
) -> Staged:  # fmt: skip
    """Descriptions as pictures in frames of ``side`` px."""
    scenes = _Scenes(many, torch.device(device), seed)
    way, at = _rays(scenes, side, fine)
    bits = torch.arange(side * fine, device=scenes.device)
    lot = ((bits[:, None] % 2) * 2 + bits % 2).flatten()  # which of the sun's rays is tried
    photo, far, body = _seen(scenes, scenes.bodies, way, lot)
    clean = _seen(scenes, scenes.without(scenes.gone), way, lot)[0] if gone else None
    frame = (scenes.n, -1, side * fine, side * fine)
    hit = far < FAR
    labels = [
        torch.where(hit, scenes.of(t, body), 0).view(frame)[:, 0]
        for t in (scenes.thing, scenes.part)
    ]
    thing, part = (label[:, ::fine, ::fine].contiguous() for label in labels)
    depth = far.view(frame)[:, 0, ::fine, ::fine]
    small = [p.view(frame) for p in (photo, *([] if clean is None else [clean]))]
    small = small if fine == 1 else [functional.avg_pool2d(p, fine) for p in small]
    inside = (
        (at.abs() < 0.5 * scenes.shape.flip(1)[..., None]).all(1).view(frame)[:, 0, ::fine, ::fine]
    )
    bright = _bright(small[0], inside)
    blurred = _blur_of(scenes, depth, side)
    shown = [_displayed(scenes, _lens(p, depth, blurred, scenes), bright) for p in small]
    return Staged(
        shown[0], shown[1] if gone else None, inside, thing * inside, part * inside,
        blurred, scenes.gone,
    )  # fmt: skip


def _rays(scenes: _Scenes, side: int, fine: int) -> tuple[Tensor, Tensor]:
    """Directions (n, 3, P), and where in the frame they go (n, 2, P), x and y in [-0.5, 0.5]."""
    line = (torch.arange(side * fine, device=scenes.device) + 0.5) / (side * fine) - 0.5
    y, x = torch.meshgrid(line, line, indexing="ij")
    at = torch.stack([x.flatten(), y.flatten()])[None].expand(scenes.n, -1, -1)
    scale = scenes.light["rough_scale"][:, 0, 0]
    grid = torch.stack([x, y], -1)[None] * (2 * scale)[:, None, None, None]
    bent = functional.grid_sample(
        scenes.noise[:, :2], grid.clamp(-1, 1), "bilinear", "border", False
    )
    bent = bent * (scenes.light["rough"][..., None] / 320 * 0.5)
    moved = at + bent.flatten(2)
    way = torch.stack([moved[:, 0], -moved[:, 1], -scenes.zoom[:, None].expand(-1, at.shape[2])], 1)
    way = torch.einsum("nij,njp->nip", scenes.turn, way)
    return way / way.norm(dim=1, keepdim=True), at


def _cast(bodies: Bodies, start: Tensor, way: Tensor) -> Hit:
    if way.device.type != "cpu":
        return cast(bodies, start, way)
    found = [_few(Bodies(b[None], t[None]), s[None], w[None])
             for b, t, s, w in zip(*bodies, start, way, strict=True)]  # fmt: skip
    return Hit(torch.cat([h.far for h in found]), torch.cat([h.body for h in found]))


def _few(bodies: Bodies, start: Tensor, way: Tensor) -> Hit:
    """Of one scene, ``LOT`` rays at a time: all calls are alike then, and memory is bounded."""
    count = way.shape[2]
    more = -count % LOT
    way = functional.pad(way, (0, more))
    start = start if start.shape[2] == 1 else functional.pad(start, (0, more))
    lots = [(start if start.shape[2] == 1 else start[:, :, i : i + LOT], way[:, :, i : i + LOT])
            for i in range(0, count, LOT)]  # fmt: skip
    found = [cast(bodies, s.contiguous(), w.contiguous()) for s, w in lots]
    far, body = (torch.cat(parts, 1)[:, :count] for parts in zip(*found, strict=True))
    return Hit(far, body)


def _seen(
    scenes: _Scenes, bodies: Bodies, way: Tensor, lot: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Light (n, 3, P) that comes along rays from the eye, how far from, and from which body."""
    far, body = _cast(bodies, scenes.eye[..., None], way)
    point = scenes.eye[..., None] + far.clamp(max=1e4)[:, None] * way
    surface = _surface(scenes, bodies, body, point, way)
    lit = _lit(scenes, bodies, surface, point, lot)
    made = surface["albedo"] * lit + _highlight(scenes, surface, way, lit)
    mirror = surface["mirror"][:, None]
    if bool((scenes.look[..., -1] > 0).any()):
        made = (
            made
            + _mirrored(scenes, bodies, surface, point, way) * mirror * surface["fresnel"][:, None]
        )
    sky = _sky(scenes, way)
    thick = torch.exp(-far / scenes.light["fog"][:, 0])[:, None]
    made = torch.lerp(scenes.light["horizon"], made, thick)
    return torch.where((far < FAR)[:, None], made, sky), far, body


def _surface(
    scenes: _Scenes, bodies: Bodies, body: Tensor, point: Tensor, way: Tensor
) -> dict[str, Tensor]:
    """What is at points (n, 3, P): albedo, normal, how it shines."""
    look = split(scenes.of(scenes.look, body))
    at = moved(scenes.of(scenes.grain, body), point)
    normal = normals(scenes.of(bodies.back, body), scenes.of(bodies.top, body), body, point)
    normal = torch.where((normal * way).sum(1, keepdim=True) > 0, -normal, normal)
    albedo = colours(look, at, scenes.noise, scenes.letters)
    steep = 1 - (normal * way).sum(1).abs()
    return {
        "body": body, "albedo": albedo, "normal": normal, "gloss": look["gloss"],
        "shine": look["shine"], "mirror": look["mirror"], "fresnel": 0.25 + 0.75 * steep**3,
    }  # fmt: skip


def _lit(
    scenes: _Scenes, bodies: Bodies, surface: dict[str, Tensor], point: Tensor, lot: Tensor
) -> Tensor:
    """Light (n, 3, P) on points: of the sun, of the sky as far as it is seen, from below."""
    light, normal = scenes.light, surface["normal"]
    start = point + normal * (
        2e-3 * (1 + 0.2 * (point - scenes.eye[..., None]).norm(dim=1, keepdim=True))
    )
    facing = (normal * light["sun"]).sum(1).clamp(min=0)
    free = (_cast(bodies, start, _to_sun(scenes, lot)).far >= FAR).float()
    free = _calm(free, normal, surface["body"], (1,))
    made = light["sunlight"] * (facing * free)[:, None]
    sky, most = torch.zeros_like(facing), torch.zeros_like(facing)
    for number in range(SKY):
        up = _to_sky(scenes, lot, number)
        share = (normal * up).sum(1).clamp(min=0)
        sky = sky + share * (_cast(bodies, start, up).far >= FAR)
        most = most + share
    level = 0.5 + 0.5 * normal[:, 1]
    seen = torch.where(most > 0, sky / most.clamp(min=1e-3), 0.6)
    seen = _calm(seen, normal, surface["body"], (1, 2, 4))
    from_above = torch.lerp(light["horizon"], light["above"], level[:, None])
    return (
        made
        + from_above * (seen * (0.35 + 0.65 * level))[:, None]
        + light["below"] * (1 - level)[:, None]
    )


def _to_sun(scenes: _Scenes, lot: Tensor) -> Tensor:
    """The direction of a part of the sun for each ray, (n, 3, P)."""
    sun, wide = scenes.light["sun"], scenes.light["wide"]
    aside = torch.linalg.cross(
        sun, torch.tensor([0.0, 1, 0], device=sun.device)[None, :, None].expand_as(sun), dim=1
    )
    aside = aside / aside.norm(dim=1, keepdim=True).clamp(min=1e-6)
    across = torch.linalg.cross(sun, aside, dim=1)
    angle = lot * (math.pi / 2) + 0.4
    return sun + wide * 0.7 * (aside * angle.cos() + across * angle.sin())


def _scattered(lot: Tensor) -> Tensor:
    """A number of each ray, other than its neighbours' (Roberts 2018), a little by chance."""
    side = math.isqrt(len(lot))
    line = torch.arange(side, device=lot.device)
    dice = torch.Generator(lot.device).manual_seed(0)
    chance = torch.rand(len(lot), generator=dice, device=lot.device)
    return (line[:, None] * 0.56984 + line * 0.75488).flatten() + 0.3 * chance


def _calm(seen: Tensor, normal: Tensor, body: Tensor, reaches: tuple[int, ...]) -> Tensor:
    """Shares (n, P) less their grain: means with rays nearby that hit the same side of a body."""
    side = math.isqrt(seen.shape[1])
    facing = (normal + 3e3 * body[:, None]).view(len(seen), 3, side, side)
    made = seen.view(-1, 1, side, side)
    for reach in reaches:
        total, count = torch.zeros_like(made), torch.zeros_like(made)
        for y in (-reach, 0, reach):
            for x in (-reach, 0, reach):
                there = (facing.roll((y, x), (2, 3)) - facing).abs().amax(1, keepdim=True) < 0.3
                total = total + made.roll((y, x), (2, 3)) * there
                count = count + there
        made = total / count
    return made.flatten(1)


def _to_sky(scenes: _Scenes, lot: Tensor, number: int) -> Tensor:
    """One of 4 x SKY directions above, for each ray, (n, 3, P)."""
    which = lot * SKY + number
    count = 4 * SKY
    high = (which + 0.5) / count
    turn = 6.2832 * _scattered(lot) + 2.39996 * which
    flat = (1 - high * high).sqrt()
    made = torch.stack([turn.cos() * flat, high.expand_as(turn), turn.sin() * flat])
    return made[None].expand(scenes.n, -1, -1)


def _highlight(scenes: _Scenes, surface: dict[str, Tensor], way: Tensor, lit: Tensor) -> Tensor:
    half = scenes.light["sun"] - way
    half = half / half.norm(dim=1, keepdim=True)
    share = (surface["normal"] * half).sum(1).clamp(min=0) ** surface["shine"]
    bright = scenes.light["sunlight"] + 0.3 * scenes.light["above"]
    shown = (lit.mean(1) / (bright.mean(1) + 1e-3)).clamp(max=1)
    back = way - 2 * (way * surface["normal"]).sum(1, keepdim=True) * surface["normal"]
    glare = 0.12 * surface["fresnel"] * (back[:, 1].clamp(min=0))
    return bright * (surface["gloss"] * (share * shown + glare * shown))[:, None]


def _mirrored(
    scenes: _Scenes, bodies: Bodies, surface: dict[str, Tensor], point: Tensor, way: Tensor
) -> Tensor:
    """What a mirror at each point shows, without shadows; a little crooked, as water is."""
    normal = surface["normal"]
    spot = point[:, [0, 2]].transpose(1, 2)[:, None] * 0.9
    folded = (torch.remainder(spot + 1, 4) - 2).abs() - 1
    wave = functional.grid_sample(scenes.noise, folded, "bilinear", "border", False)[:, :, 0]
    bent = torch.stack([wave[:, 0], torch.zeros_like(wave[:, 0]), wave[:, 1] * 0.5], 1)
    normal = normal + bent * 0.02
    back = way - 2 * (way * normal).sum(1, keepdim=True) * normal
    far, body = _cast(bodies, point + surface["normal"] * 2e-3, back)
    at = point + far.clamp(max=1e4)[:, None] * back
    other = _surface(scenes, bodies, body, at, back)
    level = 0.5 + 0.5 * other["normal"][:, 1:2]
    facing = (other["normal"] * scenes.light["sun"]).sum(1, keepdim=True).clamp(min=0)
    lit = scenes.light["sunlight"] * facing * 0.8 + scenes.light["above"] * (0.25 + 0.5 * level)
    return torch.where((far < FAR)[:, None], other["albedo"] * lit, _sky(scenes, back))


def _sky(scenes: _Scenes, way: Tensor) -> Tensor:
    up = way[:, 1:2]
    made = torch.lerp(scenes.light["horizon"], scenes.light["above"], up.clamp(0, 1) ** 0.6)
    at = way[:, [0, 2]] / (up.abs() + 0.15)
    folded = (torch.remainder(at.transpose(1, 2)[:, None] * 0.35 + 1, 4) - 2).abs() - 1
    cloud = functional.grid_sample(scenes.noise, folded, "bilinear", "border", False)[:, :1, 0]
    return made + (0.95 - made) * (cloud * 0.8).clamp(0, 1) * scenes.light["clouds"]


def _blur_of(scenes: _Scenes, depth: Tensor, side: int) -> Tensor:
    """By how many px what is behind the sharp distance is blurred, (n, s, s)."""
    focus, blur = scenes.light["focus"], scenes.light["blur"]
    return ((1 - 1.15 * focus / depth).clamp(min=0) * blur * side / 320).clamp(max=12)


def _lens(picture: Tensor, depth: Tensor, blurred: Tensor, scenes: _Scenes) -> Tensor:
    """What lies behind is blurred, and does not run over what is sharp."""
    if not bool((scenes.light["blur"] > 0).any()):
        return picture
    sharp = (blurred < 0.5).float()[:, None]
    made = picture
    for radius in (3, 6, 12):
        behind = 1 - sharp
        kernel = 2 * radius // 2 * 2 + 1
        share = _box(behind, kernel)
        soft = _box(picture * behind, kernel) / share.clamp(min=1e-3)
        weight = ((blurred[:, None] - radius / 3) / (radius / 3)).clamp(0, 1) * behind
        made = torch.lerp(made, soft, weight)
    return made


def _box(maps: Tensor, kernel: int) -> Tensor:
    half = kernel // 2 // 2 * 2 + 1
    once = functional.avg_pool2d(maps, half, 1, half // 2, count_include_pad=False)
    return functional.avg_pool2d(once, half, 1, half // 2, count_include_pad=False)


def _bright(picture: Tensor, inside: Tensor) -> Tensor:
    """A high level of light in the photo, (n, 1, 1, 1)."""
    grey = picture.mean(1)[:, ::4, ::4].flatten(1)
    grey = torch.where(inside[:, ::4, ::4].flatten(1), grey, grey.new_tensor(float("nan")))
    return torch.nanquantile(grey, 0.92, dim=1)[:, None, None, None] + 1e-3


def _displayed(scenes: _Scenes, picture: Tensor, bright: Tensor) -> Tensor:
    """Light as a display shows it: exposure, a film's curve, gamma."""
    exposure, curve = (scenes.light[k][..., None] for k in ("exposure", "curve"))
    x = picture / bright * exposure
    x = torch.where(x > 0.8, 0.8 + 0.2 * (1 - torch.exp(-(x - 0.8) / 0.2)), x).clamp(0, 1) ** (
        1 / 2.2
    )
    return torch.lerp(x, x * x * (3 - 2 * x), curve)


def sheet(staged: Staged, columns: int = 4) -> NDArray[np.uint8]:
    """Pictures, each above its things and parts in colours: (h, w, 3) uint8 BGR."""
    shades = np.random.default_rng(0).integers(40, 256, (256, 3), dtype=np.uint8)
    shades[0] = 0
    tiles = []
    for i in range(len(staged.photo)):
        shown = [staged.photo[i]] if staged.clean is None else [staged.photo[i], staged.clean[i]]
        pixels = [
            (p * staged.inside[i] * 255).byte().permute(1, 2, 0).cpu().numpy()[..., ::-1]
            for p in shown
        ]
        pixels += [shades[m[i].cpu().numpy()] for m in (staged.thing, staged.part)]
        tiles.append(np.vstack(pixels))
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    return np.vstack(rows)


@click.command(help=__doc__)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--side", default=240, show_default=True)
@click.option("--count", default=8, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--gone", is_flag=True, help="Beside each, the same without a thing.")
def main(path: Path, side: int, count: int, seed: int, device: str, gone: bool) -> None:
    dice = np.random.default_rng(seed)
    fast()
    start = time.perf_counter()
    many = [describe(dice, gone) for _ in range(count)]
    planned = time.perf_counter() - start
    made = render(many, side, device, gone, seed)
    total = float(made.photo.mean())  # waits for the device
    wall = time.perf_counter() - start
    cv2.imwrite(str(path), sheet(made))
    click.echo(
        f"{planned / count:.3f} s to plan one, {wall / count:.2f} s in all; mean {total:.2f}"
    )


if __name__ == "__main__":
    main()
