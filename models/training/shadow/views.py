"""What the network sees of photos, a batch at a time: as ``segment2inpaint.shadow.view`` has it."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.training.shadow.unet import SIDE

AROUND = (5, 16)  # px there: the surroundings that light is compared with, near and far
LEAST = 8.0  # px of the surroundings on each side, of a picture


class Frame(NamedTuple):
    """Where a view lies in its picture, (n, 1, 1) each: ``x`` and ``y`` of its top left corner,
    ``width`` and ``height``, view px to a picture px, and of the object the ``middle`` column, the
    ``lowest`` row and the ``diagonal`` of its box, in picture px.
    """

    x: Tensor
    y: Tensor
    width: Tensor
    height: Tensor
    scale: Tensor
    middle: Tensor
    lowest: Tensor
    diagonal: Tensor


class Edges(NamedTuple):
    """Of photos in their pictures, px (n, 1, 1)."""

    left: Tensor
    top: Tensor
    right: Tensor
    low: Tensor


def framed(share: Tensor, edges: Edges) -> Frame:
    """The views of the objects that have those shares (n, s, s) of the pixels."""
    x0, x1 = _ends(share.amax(1) > 0.5)
    y0, y1 = _ends(share.amax(2) > 0.5)
    diagonal = ((x1 - x0).square() + (y1 - y0).square()).sqrt()
    more = diagonal.round().clamp(min=LEAST)
    left, top = torch.maximum(x0 - more, edges.left), torch.maximum(y0 - more, edges.top)
    right, low = torch.minimum(x1 + more, edges.right), torch.minimum(y1 + more, edges.low)
    width, height = right - left, low - top
    scale = SIDE / torch.maximum(width, height)
    return Frame(left, top, width, height, scale, (x0 + x1) / 2, y1, diagonal)


def _ends(line: Tensor) -> tuple[Tensor, Tensor]:
    """The first place of (n, s) that is set and the one after the last, (n, 1, 1)."""
    set_ = line.float()
    first, last = set_.argmax(1), line.shape[1] - set_.flip(1).argmax(1)
    return first.float()[:, None, None], last.float()[:, None, None]


def cropped(maps: Tensor, frame: Frame) -> Tensor:
    """The views (n, c, SIDE, SIDE) of pictures (n, c, s, s); 0 beyond the picture."""
    side = maps.shape[-1]
    x, y = _pixels(maps.device)
    across = (frame.x + x / frame.scale) * (2 / side) - 1
    down = (frame.y + y / frame.scale) * (2 / side) - 1
    across, down = torch.broadcast_tensors(across, down)
    where = torch.stack([across, down], -1)
    made = functional.grid_sample(maps, where, "bilinear", "border", align_corners=False)
    return made * inside(frame)[:, None]


def inside(frame: Frame) -> Tensor:
    """(n, SIDE, SIDE): 1 on the photo, 0 beyond."""
    x, y = _pixels(frame.x.device)
    return ((x < frame.width * frame.scale) & (y < frame.height * frame.scale)).float()


def planes(crop: Tensor, share: Tensor, frame: Frame) -> Tensor:
    """(n, PLANES, SIDE, SIDE), of the views of photos (n, 3, ...) in [0, 1] and of objects."""
    within = inside(frame)
    free = (share < 0.1).float() * within
    red, green, blue = (crop.clamp(0, 1) ** 2.2 + 0.01).log().unbind(1)
    maps = torch.stack([(red + green + blue) / 3, red - green, blue - green], 1)
    some = torch.where(free[:, None, ::3, ::3] > 0, maps[:, :, ::3, ::3], torch.nan)
    usual = some.flatten(2).nanmedian(2).values.nan_to_num()
    maps = maps - usual[..., None, None]
    light = [maps]
    for sigma in AROUND:
        about = _blurred(torch.stack([maps[:, 0] * free, free], 1), sigma)
        light.append(maps[:, :1] - about[:, :1] / (about[:, 1:] + 1e-4))
    x, y = _pixels(crop.device)
    right = (x / frame.scale + frame.x - frame.middle) / frame.diagonal
    below = (y / frame.scale + frame.y - frame.lowest) / frame.diagonal
    right, below = right.expand_as(share), below.expand_as(share)
    near = (-_away(share) / (0.15 * frame.diagonal * frame.scale)).exp()
    rest = torch.stack([share, within, right, below, near], 1)
    return torch.cat([*(one.clamp(-3, 3) for one in light), rest], 1) * within[:, None]


def _blurred(maps: Tensor, sigma: float) -> Tensor:
    """As ``cv2.GaussianBlur`` does it, nothing beyond the edge."""
    line = torch.arange(SIDE, device=maps.device)
    apart = line[:, None] - line
    kernel = (-(apart**2) / (2 * sigma**2)).exp() * (apart.abs() <= 4 * sigma)
    kernel = kernel / (sigma * math.sqrt(2 * math.pi))
    return kernel @ maps @ kernel


def _away(share: Tensor) -> Tensor:
    """How far each pixel is from the object, px (n, SIDE, SIDE)."""
    bare = (share < 0.5).byte().cpu().numpy()
    made = np.stack([cv2.distanceTransform(one, cv2.DIST_L2, 5) for one in bare])
    return torch.from_numpy(made).to(share.device)


def _pixels(device: torch.device) -> tuple[Tensor, Tensor]:
    line = torch.arange(SIDE, device=device) + 0.5
    return line[None, None, :], line[None, :, None]
