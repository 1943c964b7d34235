"""The network's input for batches; ``segment2inpaint.networks.shadow`` makes it for one photo."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.training.shadow.unet import INPUT_SIDE

SURROUND_SIGMAS = (5, 16)  # view px, of the near and far surroundings that light is compared with
MIN_MARGIN = 8.0  # picture px, around the object on each side


class ViewFrame(NamedTuple):
    """The place of a view in its picture; each field is (n, 1, 1), in picture px.

    ``x`` and ``y`` are its top left corner, ``width`` and ``height`` its size; ``scale`` is view px
    per picture px. ``center_x``, ``bottom`` and ``diagonal`` are those of the object's box.
    """

    x: Tensor
    y: Tensor
    width: Tensor
    height: Tensor
    scale: Tensor
    center_x: Tensor
    bottom: Tensor
    diagonal: Tensor


class PhotoEdges(NamedTuple):
    """The edges of photos in their pictures, px (n, 1, 1)."""

    left: Tensor
    top: Tensor
    right: Tensor
    bottom: Tensor


def view_frame(alpha: Tensor, edges: PhotoEdges) -> ViewFrame:
    """Return the views around objects with the given alpha (n, s, s)."""
    x0, x1 = _extent(alpha.amax(1) > 0.5)
    y0, y1 = _extent(alpha.amax(2) > 0.5)
    diagonal = ((x1 - x0).square() + (y1 - y0).square()).sqrt()
    margin = diagonal.round().clamp(min=MIN_MARGIN)
    left, top = torch.maximum(x0 - margin, edges.left), torch.maximum(y0 - margin, edges.top)
    right, bottom = (
        torch.minimum(x1 + margin, edges.right),
        torch.minimum(y1 + margin, edges.bottom),
    )
    width, height = right - left, bottom - top
    scale = INPUT_SIDE / torch.maximum(width, height)
    return ViewFrame(left, top, width, height, scale, (x0 + x1) / 2, y1, diagonal)


def _extent(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first set place of each row (n, s) and the one after the last, as (n, 1, 1)."""
    is_set = mask.float()
    first, last = is_set.argmax(1), mask.shape[1] - is_set.flip(1).argmax(1)
    return first.float()[:, None, None], last.float()[:, None, None]


def crop_views(maps: Tensor, frame: ViewFrame) -> Tensor:
    """Return views (n, c, INPUT_SIDE, INPUT_SIDE) of pictures (n, c, s, s); 0 beyond the photo."""
    side = maps.shape[-1]
    x, y = _pixel_centers(maps.device)
    source_x = (frame.x + x / frame.scale) * (2 / side) - 1
    source_y = (frame.y + y / frame.scale) * (2 / side) - 1
    source_x, source_y = torch.broadcast_tensors(source_x, source_y)  # type: ignore[no-untyped-call]
    grid = torch.stack([source_x, source_y], -1)
    views = functional.grid_sample(maps, grid, "bilinear", "border", align_corners=False)
    return views * photo_area(frame)[:, None]


def photo_area(frame: ViewFrame) -> Tensor:
    """Return 1 on the photo and 0 beyond, (n, INPUT_SIDE, INPUT_SIDE)."""
    x, y = _pixel_centers(frame.x.device)
    return ((x < frame.width * frame.scale) & (y < frame.height * frame.scale)).float()


def input_planes(crop: Tensor, alpha: Tensor, frame: ViewFrame) -> Tensor:
    """Return the network's input, float32 (n, INPUT_PLANES, INPUT_SIDE, INPUT_SIDE).

    ``crop`` (n, 3, ...) in [0, 1] and ``alpha`` (n, ...) are views of the photo and of the object.
    """
    photo = photo_area(frame)
    free = (alpha < 0.1).float() * photo
    red, green, blue = (crop.clamp(0, 1) ** 2.2 + 0.01).log().unbind(1)
    maps = torch.stack([(red + green + blue) / 3, red - green, blue - green], 1)
    samples = torch.where(free[:, None, ::3, ::3] > 0, maps[:, :, ::3, ::3], torch.nan)
    median = samples.flatten(2).nanmedian(2).values.nan_to_num()
    maps = maps - median[..., None, None]
    light = [maps]
    for sigma in SURROUND_SIGMAS:
        surround = _gaussian_blur(torch.stack([maps[:, 0] * free, free], 1), sigma)
        light.append(maps[:, :1] - surround[:, :1] / (surround[:, 1:] + 1e-4))
    x, y = _pixel_centers(crop.device)
    offset_x = (x / frame.scale + frame.x - frame.center_x) / frame.diagonal
    offset_y = (y / frame.scale + frame.y - frame.bottom) / frame.diagonal
    offset_x, offset_y = offset_x.expand_as(alpha), offset_y.expand_as(alpha)
    near = (-_distance_to_object(alpha) / (0.15 * frame.diagonal * frame.scale)).exp()
    geometry = torch.stack([alpha, photo, offset_x, offset_y, near], 1)
    return torch.cat([*(plane.clamp(-3, 3) for plane in light), geometry], 1) * photo[:, None]


def _gaussian_blur(maps: Tensor, sigma: float) -> Tensor:
    """Blur as ``cv2.GaussianBlur`` does, with zeros beyond the edge."""
    columns = torch.arange(INPUT_SIDE, device=maps.device)
    distance = columns[:, None] - columns
    kernel = (-(distance**2) / (2 * sigma**2)).exp() * (distance.abs() <= 4 * sigma)
    kernel = kernel / (sigma * math.sqrt(2 * math.pi))
    return kernel @ maps @ kernel


def _distance_to_object(alpha: Tensor) -> Tensor:
    """Return the distance of each pixel from the object, view px (n, INPUT_SIDE, INPUT_SIDE)."""
    outside = (alpha < 0.5).byte().cpu().numpy()
    distances = np.stack([cv2.distanceTransform(mask, cv2.DIST_L2, 5) for mask in outside])
    return torch.from_numpy(distances).to(alpha.device)


def _pixel_centers(device: torch.device) -> tuple[Tensor, Tensor]:
    line = torch.arange(INPUT_SIDE, device=device) + 0.5
    return line[None, None, :], line[None, :, None]
