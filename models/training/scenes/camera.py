"""What a camera does to a made scene: blur, tone, noise, compression, the photo's own shape."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from models.training.scenes.shapes import Dice
from segment2inpaint.detect.sam.checkpoint import MEAN

REACH = 6  # px, of the widest blur
BLOCK = 8  # px, of the compression

# JFIF's luma and chroma as rows of a matrix for R, G, B.
YCC = ((0.299, 0.587, 0.114), (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813))


def smooth(paint: Tensor, sigma: Tensor) -> Tensor:
    """Pictures (n, 3, s, s) blurred by ``sigma`` (n, 1, 1) px each; hardly at all below 0.2."""
    n, c, h, w = paint.shape
    steps = torch.arange(-REACH, REACH + 1, device=paint.device)
    kernel = (-(steps**2) / (2 * sigma[:, 0].clamp(min=0.15) ** 2)).exp()
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(c, 0)[:, None]
    flat = functional.pad(paint.reshape(1, n * c, h, w), [REACH] * 4, "reflect")
    flat = functional.conv2d(flat, kernel[..., None], groups=n * c)
    return functional.conv2d(flat, kernel[:, :, None], groups=n * c).view(n, c, h, w)


def finish(paint: Tensor, dice: Dice) -> tuple[Tensor, Tensor]:
    """Images as ``Scenes`` has them, and which pixels (n, s, s) belong to the photo."""
    side = paint.shape[-1]
    made = smooth(paint, dice.between(0, 1.2) * dice.chance(0.5) * side / 256)
    made = made.clamp(0.003, 1) ** (2 ** dice.between(-0.8, 0.4))[..., None]
    made = made * (1 + 0.08 * dice.normal(3, 1, 1))
    strength = 0.06 * dice.between(0, 1).square()[..., None]
    made = made + strength * dice.normal(3, side, side)
    made = (compressed(made * 255, dice)).round().clamp(0, 255)
    inside = _frame(side, dice)
    beyond = torch.tensor(MEAN, device=paint.device)[:, None, None]
    return torch.where(inside[:, None], made, beyond), inside


def compressed(images: Tensor, dice: Dice) -> Tensor:
    """As JPEG does it, coarser for high frequencies, for some of the images not at all."""
    n, c, h, w = images.shape
    turn = torch.tensor(YCC, device=images.device)
    ycc = torch.einsum("dc,nchw->ndhw", turn, images - 128)
    basis = _cosines(images.device)
    blocks = ycc.view(n, c, h // BLOCK, BLOCK, w // BLOCK, BLOCK)
    waves = torch.einsum("ai,ncyixj,bj->ncyxab", basis, blocks, basis)
    order = torch.arange(BLOCK, device=images.device)
    step = (
        1
        + 0.6
        * (order[:, None] + order)
        * torch.tensor([1, 2, 2], device=images.device)[:, None, None]
    )
    step = step[None, :, None, None] * (10 * dice.between(0, 1, 1, 1, 1, 1, 1).square() + 0.1)
    rough = torch.einsum("ai,ncyxab,bj->ncyixj", basis, (waves / step).round() * step, basis)
    back = torch.linalg.inv(turn.cpu()).to(images.device)
    made = torch.einsum("cd,ndhw->nchw", back, rough.reshape(n, c, h, w)) + 128
    return torch.where(dice.chance(0.7)[..., None], made, images)


def _cosines(device: torch.device) -> Tensor:
    """The orthonormal cosine transform (BLOCK, BLOCK), frequencies by rows."""
    order = torch.arange(BLOCK, device=device)
    angle = order[:, None] * (2 * order + 1) * (math.pi / (2 * BLOCK))
    made = angle.cos() * math.sqrt(2 / BLOCK)
    scale = torch.ones(BLOCK, 1, device=device)
    scale[0] = 0.5**0.5
    return made * scale


def _frame(side: int, dice: Dice) -> Tensor:
    """Photos are rarely square: their long side fills the frame."""
    short = (dice.between(0.5, 1.1).clamp(max=1) * side).round()
    upright = dice.chance(0.4)
    line = torch.arange(side, device=short.device)
    high = line[:, None] < torch.where(upright, side, short)
    return high & (line < torch.where(upright, short, side))
