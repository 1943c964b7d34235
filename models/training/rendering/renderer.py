"""Render scene descriptions by ray casting, many at once, with instance labels.

Shading has a sun with soft shadows, occluded skylight, highlights, one reflection and fog;
``lens`` adds defocus and tones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.training.rendering.description import LIGHT_FIELDS, Description
from models.training.rendering.lens import apply_defocus, defocus_radius, exposure_level, to_display
from models.training.rendering.rays import (
    NO_HIT,
    Bodies,
    Hit,
    nearest_hit,
    normals,
    transform_points,
)
from models.training.rendering.textures import noise_banks, sample_albedo, split_fields

SUPERSAMPLING = 2  # rays per pixel along each side
SKY_RAYS = 2  # rays to the sky per point
RAYS_PER_CALL = 4096  # on a CPU


@dataclass(frozen=True, eq=False)
class RenderedScenes:
    """n pictures in frames of s px; the photo lies in the middle of its frame.

    ``photo`` (n, 3, s, s) in [0, 1], displayed values; ``clean`` is the same without the thing
    numbered ``removed`` (n,), or None. ``inside`` (n, s, s) bool is True on the photo. ``thing``
    (n, s, s) uint8 are labels, 0 for background; ``defocus`` (n, s, s) is the blur in px.
    """

    photo: Tensor
    clean: Tensor | None
    inside: Tensor
    thing: Tensor
    defocus: Tensor
    removed: Tensor


class _SceneBatch:
    """Descriptions stacked into tensors."""

    def __init__(
        self, descriptions: Sequence[Description], device: torch.device, seed: int
    ) -> None:
        def stack(name: str) -> Tensor:
            return torch.as_tensor(np.stack([getattr(d, name) for d in descriptions])).to(device)

        self.n, self.device = len(descriptions), device
        self.bodies = Bodies(stack("to_local"), stack("top_radius"))
        self.material, self.to_texture = stack("material"), stack("to_texture")
        self.eye, self.camera_rotation = stack("eye"), stack("camera_rotation")
        self.thing = stack("thing")
        self.zoom = torch.tensor([d.zoom for d in descriptions], device=device)
        self.shape = torch.tensor([d.shape for d in descriptions], device=device)
        self.removed = torch.tensor([d.removed for d in descriptions], device=device)
        light, start = stack("light"), 0
        self.light: dict[str, Tensor] = {}
        for name, size in LIGHT_FIELDS.items():
            self.light[name] = light[:, start : start + size, None]
            start += size
        self.generator = torch.Generator(device).manual_seed(seed)
        self.noise, self.letters = noise_banks(self.n, self.generator)

    def without(self, number: Tensor) -> Bodies:
        """Return the bodies with those of one thing per scene moved out of sight."""
        hidden = (self.thing == number[:, None])[..., None, None]
        nowhere = torch.zeros(3, 4, device=self.device)
        nowhere[:, 3] = 10
        return Bodies(torch.where(hidden, nowhere, self.bodies.to_local), self.bodies.top_radius)

    def rows_of(self, table: Tensor, body: Tensor) -> Tensor:
        """Return rows (n, P, ...) of a table (n, K, ...) for bodies (n, P)."""
        return table[torch.arange(self.n, device=self.device)[:, None], body]


_nearest_hit = nearest_hit  # ``compile_kernels`` replaces it


def compile_kernels() -> None:
    """Compile the ray casting: this takes half a minute and makes it 50 times as fast."""
    global _nearest_hit
    _nearest_hit = torch.compile(nearest_hit, dynamic=False)


def render(
    descriptions: Sequence[Description], side: int, device: str | torch.device = "cpu",
    clean_plate: bool = False, seed: int = 0, supersampling: int = SUPERSAMPLING,
) -> RenderedScenes:  # fmt: skip
    """Render descriptions in frames of ``side`` px.

    With ``clean_plate`` each is also rendered without its thing ``removed``. ``seed`` determines
    the noise of textures.
    """
    scenes = _SceneBatch(descriptions, torch.device(device), seed)
    direction, position = _camera_rays(scenes, side, supersampling)
    places = torch.arange(side * supersampling, device=scenes.device)
    ray_index = (
        (places[:, None] % 2) * 2 + places % 2
    ).flatten()  # chooses the point of the sun and sky that is sampled
    photo, distance, body = _trace(scenes, scenes.bodies, direction, ray_index)
    clean = None
    if clean_plate:
        clean, _, _ = _trace(scenes, scenes.without(scenes.removed), direction, ray_index)
    shape = (scenes.n, -1, side * supersampling, side * supersampling)
    is_hit = distance < NO_HIT
    labels = torch.where(is_hit, scenes.rows_of(scenes.thing, body), 0).view(shape)[:, 0]
    thing = labels[:, ::supersampling, ::supersampling].contiguous()
    depth = distance.view(shape)[:, 0, ::supersampling, ::supersampling]
    pictures = [picture.view(shape) for picture in (photo, *([] if clean is None else [clean]))]
    pictures = (
        pictures
        if supersampling == 1
        else [functional.avg_pool2d(picture, supersampling) for picture in pictures]
    )
    inside = (
        (position.abs() < 0.5 * scenes.shape.flip(1)[..., None])
        .all(1)
        .view(shape)[:, 0, ::supersampling, ::supersampling]
    )
    level = exposure_level(pictures[0], inside)
    defocus = defocus_radius(scenes.light, depth, side)
    displayed = [
        to_display(apply_defocus(picture, defocus, scenes.light), level, scenes.light)
        for picture in pictures
    ]
    return RenderedScenes(
        displayed[0], displayed[1] if clean_plate else None, inside, thing * inside,
        defocus, scenes.removed,
    )  # fmt: skip


def _camera_rays(scenes: _SceneBatch, side: int, supersampling: int) -> tuple[Tensor, Tensor]:
    """Return directions (n, 3, P), and positions in the frame (n, 2, P), x and y in [-0.5, 0.5]."""
    line = (torch.arange(side * supersampling, device=scenes.device) + 0.5) / (
        side * supersampling
    ) - 0.5
    y, x = torch.meshgrid(line, line, indexing="ij")
    position = torch.stack([x.flatten(), y.flatten()])[None].expand(scenes.n, -1, -1)
    scale = scenes.light["edge_jitter_scale"][:, 0, 0]
    grid = torch.stack([x, y], -1)[None] * (2 * scale)[:, None, None, None]
    offset = functional.grid_sample(
        scenes.noise[:, :2], grid.clamp(-1, 1), "bilinear", "border", False
    )
    offset = offset * (scenes.light["edge_jitter"][..., None] / 320 * 0.5)
    jittered = position + offset.flatten(2)
    direction = torch.stack(
        [jittered[:, 0], -jittered[:, 1], -scenes.zoom[:, None].expand(-1, position.shape[2])], 1
    )
    direction = torch.einsum("nij,njp->nip", scenes.camera_rotation, direction)
    return direction / direction.norm(dim=1, keepdim=True), position


def _cast_rays(bodies: Bodies, origin: Tensor, direction: Tensor) -> Hit:
    if direction.device.type != "cpu":
        return _nearest_hit(bodies, origin, direction)
    hits = [
        _cast_in_chunks(Bodies(to_local[None], top[None]), o[None], d[None])
        for to_local, top, o, d in zip(*bodies, origin, direction, strict=True)
    ]
    return Hit(torch.cat([h.distance for h in hits]), torch.cat([h.body for h in hits]))


def _cast_in_chunks(bodies: Bodies, origin: Tensor, direction: Tensor) -> Hit:
    """Cast one scene's rays in chunks of one size: for less memory, and for a compiled kernel."""
    count = direction.shape[2]
    padding = -count % RAYS_PER_CALL
    direction = functional.pad(direction, (0, padding))
    origin = origin if origin.shape[2] == 1 else functional.pad(origin, (0, padding))
    hits = []
    for start in range(0, count, RAYS_PER_CALL):
        rays = slice(start, start + RAYS_PER_CALL)
        chunk_origin = origin if origin.shape[2] == 1 else origin[:, :, rays]
        chunk = direction[:, :, rays]
        hits.append(_nearest_hit(bodies, chunk_origin.contiguous(), chunk.contiguous()))
    distance, body = (torch.cat(columns, 1)[:, :count] for columns in zip(*hits, strict=True))
    return Hit(distance, body)


def _trace(
    scenes: _SceneBatch, bodies: Bodies, direction: Tensor, ray_index: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return light (n, 3, P) along rays from the eye, and the distance and body that each hits."""
    distance, body = _cast_rays(bodies, scenes.eye[..., None], direction)
    point = scenes.eye[..., None] + distance.clamp(max=1e4)[:, None] * direction
    surface = _surface_at(scenes, bodies, body, point, direction)
    incoming = _incoming_light(scenes, bodies, surface, point, ray_index)
    light = surface["albedo"] * incoming + _highlights(scenes, surface, direction, incoming)
    reflectivity = surface["reflectivity"][:, None]
    if bool((scenes.material[..., -1] > 0).any()):  # the last field is reflectivity
        light = (
            light
            + _reflections(scenes, bodies, surface, point, direction)
            * reflectivity
            * surface["fresnel"][:, None]
        )
    sky = _sky(scenes, direction)
    visibility = torch.exp(-distance / scenes.light["fog"][:, 0])[:, None]
    light = torch.lerp(scenes.light["horizon"], light, visibility)
    return torch.where((distance < NO_HIT)[:, None], light, sky), distance, body


def _surface_at(
    scenes: _SceneBatch, bodies: Bodies, body: Tensor, point: Tensor, direction: Tensor
) -> dict[str, Tensor]:
    """Return albedo, normal and material at points (n, 3, P)."""
    material = split_fields(scenes.rows_of(scenes.material, body))
    texture_point = transform_points(scenes.rows_of(scenes.to_texture, body), point)
    normal = normals(
        scenes.rows_of(bodies.to_local, body), scenes.rows_of(bodies.top_radius, body), body, point
    )
    normal = torch.where((normal * direction).sum(1, keepdim=True) > 0, -normal, normal)
    albedo = sample_albedo(material, texture_point, scenes.noise, scenes.letters)
    grazing = 1 - (normal * direction).sum(1).abs()
    return {
        "body": body, "albedo": albedo, "normal": normal, "gloss": material["gloss"],
        "shininess": material["shininess"], "reflectivity": material["reflectivity"],
        "fresnel": 0.25 + 0.75 * grazing**3,
    }  # fmt: skip


def _incoming_light(
    scenes: _SceneBatch,
    bodies: Bodies,
    surface: dict[str, Tensor],
    point: Tensor,
    ray_index: Tensor,
) -> Tensor:
    """Return light (n, 3, P) on points: of the sun, of the visible sky, and from the ground."""
    light, normal = scenes.light, surface["normal"]
    origin = point + normal * (
        2e-3 * (1 + 0.2 * (point - scenes.eye[..., None]).norm(dim=1, keepdim=True))
    )
    facing = (normal * light["sun"]).sum(1).clamp(min=0)
    visible = (
        _cast_rays(bodies, origin, _sun_directions(scenes, ray_index)).distance >= NO_HIT
    ).float()
    visible = _smooth_within_faces(visible, normal, surface["body"], (1,))
    result = light["sunlight"] * (facing * visible)[:, None]
    sky, total = torch.zeros_like(facing), torch.zeros_like(facing)
    for number in range(SKY_RAYS):
        direction = _sky_directions(scenes, ray_index, number)
        weight = (normal * direction).sum(1).clamp(min=0)
        sky = sky + weight * (_cast_rays(bodies, origin, direction).distance >= NO_HIT)
        total = total + weight
    upward = 0.5 + 0.5 * normal[:, 1]
    sky_visible = torch.where(total > 0, sky / total.clamp(min=1e-3), 0.6)
    sky_visible = _smooth_within_faces(sky_visible, normal, surface["body"], (1, 2, 4))
    sky_light = torch.lerp(light["horizon"], light["zenith"], upward[:, None])
    return (
        result
        + sky_light * (sky_visible * (0.35 + 0.65 * upward))[:, None]
        + light["ground_light"] * (1 - upward)[:, None]
    )


def _sun_directions(scenes: _SceneBatch, ray_index: Tensor) -> Tensor:
    """Return the direction of a point of the sun for each ray, (n, 3, P)."""
    sun, width = scenes.light["sun"], scenes.light["sun_width"]
    tangent = torch.linalg.cross(
        sun, torch.tensor([0.0, 1, 0], device=sun.device)[None, :, None].expand_as(sun), dim=1
    )
    tangent = tangent / tangent.norm(dim=1, keepdim=True).clamp(min=1e-6)
    bitangent = torch.linalg.cross(sun, tangent, dim=1)
    angle = ray_index * (math.pi / 2) + 0.4
    directions: Tensor = sun + width * 0.7 * (tangent * angle.cos() + bitangent * angle.sin())
    return directions


def _low_discrepancy(ray_index: Tensor) -> Tensor:
    """Return a number per ray, unlike its neighbours' (Roberts 2018), slightly jittered."""
    side = math.isqrt(len(ray_index))
    index = torch.arange(side, device=ray_index.device)
    generator = torch.Generator(ray_index.device).manual_seed(0)
    noise = torch.rand(len(ray_index), generator=generator, device=ray_index.device)
    return (index[:, None] * 0.56984 + index * 0.75488).flatten() + 0.3 * noise


def _smooth_within_faces(
    values: Tensor, normal: Tensor, body: Tensor, radii: tuple[int, ...]
) -> Tensor:
    """Denoise values (n, P): average those of nearby rays that hit the same face of a body."""
    side = math.isqrt(values.shape[1])
    key = (normal + 3e3 * body[:, None]).view(len(values), 3, side, side)
    smoothed = values.view(-1, 1, side, side)
    for radius in radii:
        total, count = torch.zeros_like(smoothed), torch.zeros_like(smoothed)
        for y in (-radius, 0, radius):
            for x in (-radius, 0, radius):
                same_face = (key.roll((y, x), (2, 3)) - key).abs().amax(1, keepdim=True) < 0.3
                total = total + smoothed.roll((y, x), (2, 3)) * same_face
                count = count + same_face
        smoothed = total / count
    return smoothed.flatten(1)


def _sky_directions(scenes: _SceneBatch, ray_index: Tensor, ray_number: int) -> Tensor:
    """Return one of 4 x SKY_RAYS directions to the sky for each ray, (n, 3, P)."""
    index = ray_index * SKY_RAYS + ray_number
    count = 4 * SKY_RAYS
    height = (index + 0.5) / count
    angle = 6.2832 * _low_discrepancy(ray_index) + 2.39996 * index
    horizontal = (1 - height * height).sqrt()
    directions = torch.stack(
        [angle.cos() * horizontal, height.expand_as(angle), angle.sin() * horizontal]
    )
    return directions[None].expand(scenes.n, -1, -1)


def _highlights(
    scenes: _SceneBatch, surface: dict[str, Tensor], direction: Tensor, incoming: Tensor
) -> Tensor:
    """Return specular light (n, 3, P) (Blinn 1977)."""
    half_vector = scenes.light["sun"] - direction
    half_vector = half_vector / half_vector.norm(dim=1, keepdim=True)
    specular = (surface["normal"] * half_vector).sum(1).clamp(min=0) ** surface["shininess"]
    light = scenes.light["sunlight"] + 0.3 * scenes.light["zenith"]
    brightness = (incoming.mean(1) / (light.mean(1) + 1e-3)).clamp(max=1)
    reflected = (
        direction - 2 * (direction * surface["normal"]).sum(1, keepdim=True) * surface["normal"]
    )
    glare = 0.12 * surface["fresnel"] * (reflected[:, 1].clamp(min=0))
    gloss: Tensor = surface["gloss"] * (specular * brightness + glare * brightness)
    return light * gloss[:, None]


def _reflections(
    scenes: _SceneBatch,
    bodies: Bodies,
    surface: dict[str, Tensor],
    point: Tensor,
    direction: Tensor,
) -> Tensor:
    """Return what a mirror at each point shows, without shadows; slightly wavy, like water."""
    normal = surface["normal"]
    water_point = point[:, [0, 2]].transpose(1, 2)[:, None] * 0.9
    folded = (torch.remainder(water_point + 1, 4) - 2).abs() - 1
    wave = functional.grid_sample(scenes.noise, folded, "bilinear", "border", False)[:, :, 0]
    tilt = torch.stack([wave[:, 0], torch.zeros_like(wave[:, 0]), wave[:, 1] * 0.5], 1)
    normal = normal + tilt * 0.02
    reflected = direction - 2 * (direction * normal).sum(1, keepdim=True) * normal
    distance, body = _cast_rays(bodies, point + surface["normal"] * 2e-3, reflected)
    hit_point = point + distance.clamp(max=1e4)[:, None] * reflected
    surface_hit = _surface_at(scenes, bodies, body, hit_point, reflected)
    upward = 0.5 + 0.5 * surface_hit["normal"][:, 1:2]
    facing = (surface_hit["normal"] * scenes.light["sun"]).sum(1, keepdim=True).clamp(min=0)
    incoming = scenes.light["sunlight"] * facing * 0.8 + scenes.light["zenith"] * (
        0.25 + 0.5 * upward
    )
    return torch.where(
        (distance < NO_HIT)[:, None], surface_hit["albedo"] * incoming, _sky(scenes, reflected)
    )


def _sky(scenes: _SceneBatch, direction: Tensor) -> Tensor:
    up = direction[:, 1:2]
    colour = torch.lerp(scenes.light["horizon"], scenes.light["zenith"], up.clamp(0, 1) ** 0.6)
    plane_point = direction[:, [0, 2]] / (up.abs() + 0.15)
    folded = (torch.remainder(plane_point.transpose(1, 2)[:, None] * 0.35 + 1, 4) - 2).abs() - 1
    cloud = functional.grid_sample(scenes.noise, folded, "bilinear", "border", False)[:, :1, 0]
    return colour + (0.95 - colour) * (cloud * 0.8).clamp(0, 1) * scenes.light["clouds"]
