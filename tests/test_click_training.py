"""Training of the click network: simulated prompts, and runs that can be resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.training.click import click_simulation, train
from models.training.click.click_simulation import Samples, ScenePool
from models.training.click.config import CONFIGS

pytestmark = pytest.mark.training

SIDE = 64
SHORT_CONFIG = replace(
    CONFIGS["small"], batch_size=4, new_scenes=2, pool_size=6, side=SIDE, warmup_steps=1
)
CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pool() -> ScenePool:
    """Photos of two shapes with a red square of two parts on blue."""
    scenes = ScenePool.empty(4, SIDE, CPU)
    photo = torch.zeros(4, 3, SIDE, SIDE)
    thing, part = torch.zeros(2, 4, SIDE, SIDE, dtype=torch.uint8)
    thing[:, 16:40, 20:44] = 1
    part[:, 16:40, 20:32], part[:, 16:40, 32:44] = 1, 2
    photo[:, 0], photo[:, 2] = 200 * thing, 200 * (1 - thing)
    inside = torch.ones(4, SIDE, SIDE, dtype=torch.bool)
    inside[2:, 52:] = False
    scenes.put(photo, thing, part, inside)
    return scenes


def first_prompts(pool: ScenePool, count: int, generator: torch.Generator) -> Samples:
    """Return samples that a perfect camera takes of the pool's scenes."""
    return click_simulation.first_prompts(
        pool, SIDE, count, generator, camera=lambda photo, rng: photo / 255
    )


def centroids(planes: Tensor) -> Tensor:
    """Return the centroids (n, 2) x, y of the discs in planes (n, s, s)."""
    y, x = torch.meshgrid(*[torch.arange(planes.shape[-1], dtype=torch.float32)] * 2, indexing="ij")
    count = planes.sum((1, 2)).clamp(min=1)
    return torch.stack([(planes * x).sum((1, 2)) / count, (planes * y).sum((1, 2)) / count], 1)


def test_the_first_prompts_are_a_click_on_the_object_or_a_box_around_it(pool: ScenePool) -> None:
    samples = first_prompts(pool, 64, generator())
    assert samples.planes.shape == (64, 8, SIDE, SIDE)
    assert samples.object_target.shape == samples.part_target.shape == (64, SIDE // 2, SIDE // 2)
    assert (samples.valid[:, 0] == 1).all()
    is_red = (samples.planes[:, 0] > samples.planes[:, 2]) & (samples.planes[:, 3] > 0)
    has_click = samples.valid[:, 1] > 0  # a click selects the whole object
    expected = functional.avg_pool2d(is_red[has_click].float(), 2)
    assert (expected - samples.object_target[has_click]).abs().mean() < 0.02
    points = centroids(samples.planes[has_click, 4]).round().long()
    assert (
        is_red[has_click][torch.arange(int(has_click.sum())), points[:, 1], points[:, 0]]
        .float()
        .mean()
        > 0.95
    )
    assert not samples.planes[has_click, 6].any()
    has_box = ~has_click
    assert has_box.any()
    target = (
        functional.interpolate(samples.object_target[has_box][:, None], scale_factor=2)[:, 0] > 0.5
    )
    assert (target & (samples.planes[has_box, 6] > 0)).sum() > 0.85 * target.sum()


def test_the_part_target_lies_in_the_object_target(pool: ScenePool) -> None:
    samples = first_prompts(pool, 64, generator(1))
    has_click = samples.valid[:, 1] > 0
    assert (samples.part_target[has_click] <= samples.object_target[has_click] + 1e-6).all()
    assert (
        samples.part_target[has_click].sum((1, 2)) < samples.object_target[has_click].sum((1, 2))
    ).all()


def test_the_next_click_is_on_an_error(pool: ScenePool) -> None:
    samples = first_prompts(pool, 48, generator(2))
    empty = torch.full((48, 2, SIDE // 2, SIDE // 2), -5.0)
    after_empty = click_simulation.next_prompts(
        samples, empty, generator(3), no_click_probability=-1
    )
    assert ((after_empty.planes[:, 4] - samples.planes[:, 4]).sum((1, 2)) >= 0).all()
    assert not after_empty.planes[:, 5].any()
    after_full = click_simulation.next_prompts(
        samples, -empty, generator(3), no_click_probability=-1
    )
    assert (after_full.planes[:, 5].sum((1, 2)) > 0).all()
    torch.testing.assert_close(after_full.planes[:, 4], samples.planes[:, 4])
    points = centroids(after_full.planes[:, 5]).div(2).long().clamp(0, SIDE // 2 - 1)
    assert (after_full.object_target[torch.arange(48), points[:, 1], points[:, 0]] < 0.5).all()
    previous = after_full.planes[:, 7][after_full.planes[:, 3] > 0]
    assert previous.min() > 0.98
    assert (after_full.round == 1).all()
    assert not after_full.valid[:, 1].any()


def test_some_rounds_have_no_new_click(pool: ScenePool) -> None:
    samples = first_prompts(pool, 16, generator(4))
    logits = torch.zeros(16, 2, SIDE // 2, SIDE // 2)
    second = click_simulation.next_prompts(samples, logits, generator(5), no_click_probability=1.1)
    torch.testing.assert_close(second.planes[:, :7], samples.planes[:, :7])
    assert (second.planes[:, 7][second.planes[:, 3] > 0] == 0.5).all()
    torch.testing.assert_close(second.object_target, samples.object_target)


def test_depth_is_greatest_in_the_middle() -> None:
    mask = torch.zeros(1, 40, 40, dtype=torch.bool)
    mask[0, 10:17, 5:35] = True
    depth = click_simulation.depths(mask)
    assert (depth[~mask] == 0).all()
    assert depth.max() == 4
    assert (depth[0] == 4).nonzero()[:, 0].unique().tolist() == [13]


def test_objects_that_are_too_small_do_not_count(pool: ScenePool) -> None:
    pool.thing[:] = 0
    pool.thing[:, 5, 5] = 1
    assert not first_prompts(pool, 8, generator()).valid.any()


def test_training_resumes_from_a_checkpoint(tmp_path: Path) -> None:
    trainer = train.Trainer(SHORT_CONFIG, CPU, seconds=600)
    for _ in range(4):
        trainer.scenes.add()
    before = {n: w.clone() for n, w in trainer.network.state_dict().items()}
    losses = [float(trainer.train_step()["loss"]) for _ in range(3)]
    assert all(loss > 0 for loss in losses)
    assert any((w != before[n]).any() for n, w in trainer.network.state_dict().items())
    trainer.elapsed = 40.0
    trainer.save(tmp_path / "checkpoint.pt")
    resumed = train.Trainer(SHORT_CONFIG, CPU, seconds=600, seed=1)
    resumed.load(tmp_path / "checkpoint.pt")
    assert (resumed.step, resumed.elapsed) == (3, 40.0)
    for network, copy in ((trainer.network, resumed.network), (trainer.mean, resumed.mean)):
        for value, expected in zip(
            network.state_dict().values(), copy.state_dict().values(), strict=True
        ):
            torch.testing.assert_close(value, expected)


def test_a_run_ends_in_time_and_saves_its_weights(tmp_path: Path) -> None:
    trainer = train.Trainer(SHORT_CONFIG, CPU, seconds=0.1)
    train.train(trainer, tmp_path, compiled=False)
    state = torch.load(tmp_path / "click.pt", weights_only=True)
    trainer.mean.load_state_dict(state)
    assert all(torch.isfinite(w.float()).all() for w in state.values())
    assert (tmp_path / "checkpoint.pt").exists()
    assert not list(tmp_path.glob("*.part"))


def test_the_learning_rate_falls_to_zero() -> None:
    trainer = train.Trainer(SHORT_CONFIG, CPU, seconds=100)
    trainer.step = 10
    assert trainer.learning_rate() == pytest.approx(SHORT_CONFIG.learning_rate)
    trainer.elapsed = 50
    assert trainer.learning_rate() == pytest.approx(SHORT_CONFIG.learning_rate / 2)
    trainer.elapsed = 101
    assert trainer.learning_rate() == pytest.approx(0, abs=1e-9)
