"""What a network is asked about a scene, and how its answers are judged.

Prompts as in the training of Segment Anything (Kirillov et al. 2023, appendix A): a point or a
loose box first, the best of the three masks taken where one point may mean several things, then
the mask itself as a prompt with further clicks. A further click lies in the middle of the
largest error, as in RITM (Sofiiuk et al. 2021). Losses: focal and dice, 20 to 1, and the squared
error of the predicted IoU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from network import decode
from scenes import LEAST, Scenes
from segment_anything.modeling import Sam
from torch import Tensor
from torch.nn import functional

FOCAL, DICE, SCORE = 20.0, 1.0, 1.0
DEPTH = 12  # px of a mask, how far within an error is measured
JITTER = 0.1  # of a box's sides, the deviation of its corners
KINDS = ("point", "point", "box", "box and point")


@dataclass(frozen=True, eq=False)
class Targets:
    """n masks to be found: ``photo`` (n,) the scene each is in, ``bits`` (n, s, s) bool."""

    photo: Tensor
    bits: Tensor


@dataclass(frozen=True, eq=False)
class Prompt:
    """What has been said of n objects: clicks (n, k, 2) in px with labels (n, k), boxes (n, 4)."""

    points: Tensor | None = None
    labels: Tensor | None = None
    boxes: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Verdict:
    """A lesson's losses (scalars), and IoU (n,) after the first prompt and after the last."""

    loss: Tensor
    focal: Tensor
    dice: Tensor
    score: Tensor
    first: Tensor
    last: Tensor


def targets(scenes: Scenes, each: int, dice: torch.Generator) -> Targets:
    """``each`` masks of every scene: what a pixel belongs to, as a whole, a part or a mark.

    Fewer of a scene that has little in it.
    """
    n, side = scenes.whole.shape[0], scenes.whole.shape[-1]
    weight = (scenes.whole > 0).flatten(1).float()
    ids = scenes.part.flatten(1).long()
    counts = torch.zeros(n, 256, device=ids.device).scatter_add_(1, ids, weight)
    weight = weight / counts.gather(1, ids).clamp(min=1).sqrt()  # small parts are asked for too
    drawn = torch.multinomial(weight + 1e-9, each, generator=dice)
    photo = torch.arange(n, device=drawn.device).repeat_interleave(each)
    levels = torch.stack([scenes.whole, scenes.part, scenes.mark]).flatten(2)
    level = torch.randint(3, (n * each,), generator=dice, device=drawn.device)
    meant = levels[level, photo, drawn.flatten()]
    level = torch.where(meant == 0, 0, level)  # of what has no marks, the whole
    meant = levels[level, photo, drawn.flatten()]
    bits = (levels[level, photo] == meant[:, None]).view(-1, side, side)
    large = bits.sum((1, 2)) >= LEAST * (side / 128) ** 2
    large &= meant > 0
    return Targets(photo[large], bits[large])


def teach(
    sam: Sam, embeddings: Tensor, asked: Targets, rounds: int, dice: torch.Generator
) -> Verdict:
    """Ask, judge, correct with a click, ask again: ``rounds`` times."""
    side = asked.bits.shape[-1]
    rows = embeddings[asked.photo]
    kind = KINDS[int(torch.randint(len(KINDS), (), generator=dice, device=dice.device))]
    prompt = _first(asked.bits, kind, dice)
    before, judged, overlaps = None, [], []
    for number in range(rounds):
        sparse, dense = sam.prompt_encoder(_clicks(prompt), prompt.boxes, before)
        logits, scores = decode(sam, rows, sparse, dense)
        truth = _shrunk(asked.bits, logits.shape[-1])
        several = number == 0 and kind == "point"
        logits, scores = (
            (logits[:, 1:], scores[:, 1:]) if several else (logits[:, :1], scores[:, :1])
        )
        losses, overlap = judge(logits, scores, truth)
        best = losses[:, 0].argmin(1)
        judged.append(losses.gather(2, best[:, None, None].expand(-1, 4, 1))[..., 0])
        row = torch.arange(len(best), device=best.device)
        overlaps.append(overlap[row, best])
        before = logits[row, best][:, None].detach()
        if number != rounds - 2:  # once the mask is all that is new
            prompt = further(prompt, before[:, 0] > 0, truth > 0.5, side, dice)
    loss, focal, overlapping, score = torch.stack(judged).mean((0, 1))
    return Verdict(loss, focal, overlapping, score, overlaps[0], overlaps[-1])


def judge(logits: Tensor, scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Losses (n, 4, k): all, focal, dice, of the score; and the IoU (n, k) of each mask.

    ``logits`` (n, k, s, s), ``scores`` (n, k), ``truth`` (n, s, s) in [0, 1].
    """
    wanted = truth[:, None].expand_as(logits)
    chance = logits.sigmoid()
    plain = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    wrong = (chance - wanted).abs()
    focal = (wrong.square() * plain).mean((2, 3))
    both, sums = (chance * wanted).sum((2, 3)), (chance + wanted).sum((2, 3))
    dice = 1 - (2 * both + 1) / (sums + 1)
    found, there = logits > 0, wanted > 0.5
    overlap = (found & there).sum((2, 3)) / (found | there).sum((2, 3)).clamp(min=1)
    score = (scores - overlap).square()
    total = FOCAL * focal + DICE * dice + SCORE * score
    return torch.stack([total, focal, dice, score], dim=1), overlap


def _first(bits: Tensor, kind: str, dice: torch.Generator) -> Prompt:
    points = labels = boxes = None
    if "point" in kind:
        points = _inside(bits, dice)[:, None]
        labels = torch.ones(len(bits), 1, device=bits.device)
    if "box" in kind:
        boxes = _boxes(bits, dice)
    return Prompt(points, labels, boxes)


def _inside(bits: Tensor, dice: torch.Generator) -> Tensor:
    """A point (n, 2) of each mask: anywhere, or for every second one far from its edge."""
    weight = bits.float()
    side = bits.shape[-1]
    depth = _depth(weight).square()
    middle = torch.rand(len(bits), 1, 1, generator=dice, device=bits.device) < 0.5
    drawn = torch.multinomial(torch.where(middle, depth, weight).flatten(1), 1, generator=dice)[
        :, 0
    ]
    return torch.stack([drawn % side, drawn // side], dim=1).float()


def _boxes(bits: Tensor, dice: torch.Generator) -> Tensor:
    """Half-open boxes (n, 4) round the masks, their corners off by some."""
    side = bits.shape[-1]
    ends = []
    for line in (bits.any(1), bits.any(2)):
        ends += [line.int().argmax(1), side - line.flip(1).int().argmax(1)]
    left, right, top, bottom = (e.float() for e in ends)
    size = torch.stack([right - left, bottom - top] * 2, dim=1)
    off = torch.randn(len(bits), 4, generator=dice, device=bits.device).clamp(-2, 2) * JITTER
    off = (off * size).clamp(-20 * side / 1024, 20 * side / 1024)
    return (torch.stack([left, top, right, bottom], dim=1) + off).clamp(0, side)


def further(
    prompt: Prompt, found: Tensor, truth: Tensor, side: int, dice: torch.Generator
) -> Prompt:
    """With a click (see ``click``) more; ``side`` is that of the frame the clicks lie in."""
    at, label = click(found, truth, dice)
    at = (at + 0.5) * (side / found.shape[-1]) - 0.5
    if prompt.points is None or prompt.labels is None:
        return Prompt(at[:, None], label[:, None], prompt.boxes)
    points = torch.cat([prompt.points, at[:, None]], dim=1)
    return Prompt(points, torch.cat([prompt.labels, label[:, None]], dim=1), prompt.boxes)


def click(found: Tensor, truth: Tensor, dice: torch.Generator) -> tuple[Tensor, Tensor]:
    """Innermost points (n, 2) of the largest errors and their labels (n,), 1 on the object.

    ``found`` and ``truth`` are (n, s, s) bool. Without an error it is somewhere on the object.
    """
    side = found.shape[-1]
    right = (found == truth).all(2).all(1)[:, None, None]
    missing = torch.where(right, truth, truth & ~found)
    errors = torch.stack([missing, found & ~truth], dim=1).float()
    tie = torch.rand(errors.shape, generator=dice, device=errors.device)
    depth = (_depth(errors.flatten(0, 1)).view_as(errors) + 0.9 * tie) * errors
    place = depth.flatten(1).argmax(1)
    inner = place % (side * side)
    at = torch.stack([inner % side, inner // side], dim=1).float()
    return at, 1.0 - (place >= side * side).float()


def _depth(areas: Tensor) -> Tensor:
    """How many px each pixel (n, s, s) lies within its area, at most ``DEPTH`` of a 128th.

    What lies beyond the edge of the frame is outside.
    """
    stride = max(1, areas.shape[-1] // 128)
    total = left = areas
    for _ in range(DEPTH):
        for _ in range(stride):
            left = 1 - functional.max_pool2d(functional.pad(1 - left, [1] * 4, value=1), 3, 1)
        total = total + left
    return total


def _clicks(prompt: Prompt) -> tuple[Tensor, Tensor] | None:
    if prompt.points is None or prompt.labels is None:
        return None
    return prompt.points, prompt.labels


def _shrunk(bits: Tensor, side: int) -> Tensor:
    """How much of each pixel of the network's masks is in the true ones."""
    return functional.adaptive_avg_pool2d(bits.float()[:, None], side)[:, 0]
