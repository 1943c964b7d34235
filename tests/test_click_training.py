"""What the click network is asked in its training, and a training that can be killed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.training.click import questions, teach
from models.training.click.questions import Pool

SIDE = 64
SHORT = replace(teach.PLANS["small"], batch=4, fresh=2, pool=6, side=SIDE, warmup=1)
CPU = torch.device("cpu")


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    """A red square of two halves on blue, in photos of two shapes, taken by a perfect camera."""
    monkeypatch.setattr(questions, "_taken", lambda photo, dice: photo / 255)
    made = Pool.empty(4, SIDE, CPU)
    photo = torch.zeros(4, 3, SIDE, SIDE)
    thing, part = torch.zeros(2, 4, SIDE, SIDE, dtype=torch.uint8)
    thing[:, 16:40, 20:44] = 1
    part[:, 16:40, 20:32], part[:, 16:40, 32:44] = 1, 2
    photo[:, 0], photo[:, 2] = 200 * thing, 200 * (1 - thing)
    inside = torch.ones(4, SIDE, SIDE, dtype=torch.bool)
    inside[2:, 52:] = False
    made.put(photo, thing, part, inside)
    return made


def discs(plane: Tensor) -> Tensor:
    """The middles (n, 2) of what is marked in planes (n, s, s)."""
    y, x = torch.meshgrid(*[torch.arange(plane.shape[-1], dtype=torch.float32)] * 2, indexing="ij")
    count = plane.sum((1, 2)).clamp(min=1)
    return torch.stack([(plane * x).sum((1, 2)) / count, (plane * y).sum((1, 2)) / count], 1)


def test_first_questions(pool: Pool) -> None:
    made = questions.first(pool, SIDE, 64, dice())
    assert made.planes.shape == (64, 8, SIDE, SIDE)
    assert made.meant.shape == made.part.shape == (64, SIDE // 2, SIDE // 2)
    assert (made.asked[:, 0] == 1).all()
    red = (made.planes[:, 0] > made.planes[:, 2]) & (made.planes[:, 3] > 0)
    told = made.asked[:, 1] > 0  # a click: the whole is meant
    whole = functional.avg_pool2d(red[told].float(), 2)
    assert (whole - made.meant[told]).abs().mean() < 0.02
    clicked = discs(made.planes[told, 4]).round().long()
    assert (
        red[told][torch.arange(int(told.sum())), clicked[:, 1], clicked[:, 0]].float().mean() > 0.95
    )
    assert not made.planes[told, 6].any()
    boxed = ~told
    assert boxed.any()
    wide = functional.interpolate(made.meant[boxed][:, None], scale_factor=2)[:, 0] > 0.5
    assert (wide & (made.planes[boxed, 6] > 0)).sum() > 0.85 * wide.sum()


def test_parts_lie_in_the_whole(pool: Pool) -> None:
    made = questions.first(pool, SIDE, 64, dice(1))
    told = made.asked[:, 1] > 0
    assert (made.part[told] <= made.meant[told] + 1e-6).all()
    assert (made.part[told].sum((1, 2)) < made.meant[told].sum((1, 2))).all()


def test_a_further_click_says_what_is_wrong(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "AGAIN", -1)
    made = questions.first(pool, SIDE, 48, dice(2))
    nothing = torch.full((48, 2, SIDE // 2, SIDE // 2), -5.0)
    missing = questions.further(made, nothing, dice(3))
    assert ((missing.planes[:, 4] - made.planes[:, 4]).sum((1, 2)) >= 0).all()
    assert not missing.planes[:, 5].any()
    everything = questions.further(made, -nothing, dice(3))
    assert (everything.planes[:, 5].sum((1, 2)) > 0).all()
    torch.testing.assert_close(everything.planes[:, 4], made.planes[:, 4])
    wrong = discs(everything.planes[:, 5]).div(2).long().clamp(0, SIDE // 2 - 1)
    assert (everything.meant[torch.arange(48), wrong[:, 1], wrong[:, 0]] < 0.5).all()
    shown = everything.planes[:, 7][everything.planes[:, 3] > 0]
    assert shown.min() > 0.98
    assert (everything.round == 1).all()
    assert not everything.asked[:, 1].any()


def test_now_and_then_it_only_looks_again(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "AGAIN", 1.1)
    made = questions.first(pool, SIDE, 16, dice(4))
    again = questions.further(made, torch.zeros(16, 2, SIDE // 2, SIDE // 2), dice(5))
    torch.testing.assert_close(again.planes[:, :7], made.planes[:, :7])
    assert (again.planes[:, 7][again.planes[:, 3] > 0] == 0.5).all()
    torch.testing.assert_close(again.meant, made.meant)


def test_depth_is_greatest_in_the_middle() -> None:
    bits = torch.zeros(1, 40, 40, dtype=torch.bool)
    bits[0, 10:17, 5:35] = True
    depth = questions.depth(bits)
    assert (depth[~bits] == 0).all()
    assert depth.max() == 4
    assert (depth[0] == 4).nonzero()[:, 0].unique().tolist() == [13]


def test_things_too_small_are_not_asked_for(pool: Pool) -> None:
    pool.thing[:] = 0
    pool.thing[:, 5, 5] = 1
    assert not questions.first(pool, SIDE, 8, dice()).asked.any()


def test_a_training_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    training = teach.Training(SHORT, CPU, seconds=600)
    for _ in range(4):
        training.renew()
    before = {n: w.clone() for n, w in training.network.state_dict().items()}
    losses = [float(training.advance()["loss"]) for _ in range(3)]
    assert all(loss > 0 for loss in losses)
    assert any((w != before[n]).any() for n, w in training.network.state_dict().items())
    training.spent = 40.0
    training.save(tmp_path / "checkpoint.pt")
    other = teach.Training(SHORT, CPU, seconds=600, seed=1)
    other.load(tmp_path / "checkpoint.pt")
    assert (other.step, other.spent) == (3, 40.0)
    for mine, its in ((training.network, other.network), (training.mean, other.mean)):
        for one, two in zip(mine.state_dict().values(), its.state_dict().values(), strict=True):
            torch.testing.assert_close(one, two)


def test_a_run_ends_in_time_and_leaves_its_weights(tmp_path: Path) -> None:
    training = teach.Training(SHORT, CPU, seconds=0.1)
    teach.run(training, tmp_path, compiled=False)
    state = torch.load(tmp_path / "click.pt", weights_only=True)
    training.mean.load_state_dict(state)
    assert all(torch.isfinite(w.float()).all() for w in state.values())
    assert (tmp_path / "checkpoint.pt").exists()
    assert not list(tmp_path.glob("*.part"))


def test_the_rate_falls_to_nothing_with_the_time() -> None:
    training = teach.Training(SHORT, CPU, seconds=100)
    training.step = 10
    assert training.rate() == pytest.approx(SHORT.rate)
    training.spent = 50
    assert training.rate() == pytest.approx(SHORT.rate / 2)
    training.spent = 101
    assert training.rate() == pytest.approx(0, abs=1e-9)
