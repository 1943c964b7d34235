"""Training of the click network: simulated prompts, losses, and runs that can be resumed."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from box_masks import box_mask
from published_click import randomize, write_decoder
from torch import Tensor

from models.training.click import losses, questions, train
from models.training.click.decoder import OUTPUTS, Decoder
from models.training.click.questions import OBJECT, PART, WHOLE, first_questions, next_questions
from models.training.click.tiny_vit import EMBEDDING_CHANNELS
from models.training.click.windows import FULL, UNKNOWN, Labels
from segment2inpaint.networks.click import (
    BOTTOM_RIGHT,
    MASK_CELL,
    NEGATIVE,
    NO_POINT,
    POSITIVE,
    TOP_LEFT,
)
from segment2inpaint.types import BinaryMask, Box

pytestmark = pytest.mark.training

SEEDS = range(30)

torch.set_num_threads(1)  # cores are shared


# --- questions ----------------------------------------------------------------------------------


@pytest.fixture
def labels() -> Labels:
    """Two objects in a frame of 192 x 256 px: one with a part and a whole, one alone."""
    known = np.zeros((3, 48, 64), np.uint8)
    known[OBJECT, 10:30, 8:28] = known[PART, 10:20, 8:28] = FULL
    known[WHOLE, 10:40, 8:28] = FULL
    alone = np.full((3, 48, 64), UNKNOWN, np.uint8)
    alone[OBJECT] = 0
    alone[OBJECT, 5:40, 40:60] = FULL
    return np.stack([known, alone])


def values_at(points: np.ndarray) -> list[tuple[int, int]]:
    """Return the y, x of the mask's values that hold points x, y of the frame."""
    return [(int((y + 0.5) // MASK_CELL), int((x + 0.5) // MASK_CELL)) for x, y in points]


def test_the_first_click_lies_in_the_object(labels: Labels) -> None:
    known_parts = set()
    for seed in SEEDS:
        asked = first_questions(labels, False, np.random.default_rng(seed))
        assert asked.kinds.tolist() == [[POSITIVE, NO_POINT]] * 2
        places = values_at(asked.points[:, 0])
        assert all(labels[i, OBJECT, y, x] == FULL for i, (y, x) in enumerate(places))
        in_part = bool(labels[0, PART][places[0]])
        assert asked.known.tolist() == [[True, in_part, True], [True, False, False]]
        assert asked.wanted.tolist() == [OBJECT, OBJECT]
        assert asked.masks is None
        known_parts.add(in_part)
    assert known_parts == {False, True}


def test_the_box_surrounds_the_object(labels: Labels) -> None:
    exact = []
    for seed in SEEDS:
        asked = first_questions(labels, True, np.random.default_rng(seed))
        assert asked.kinds.tolist() == [[TOP_LEFT, BOTTOM_RIGHT]] * 2
        assert asked.known.tolist() == [[True, False, False]] * 2
        corners = (asked.points[0] + 0.5) / MASK_CELL
        off = np.abs(corners - [[8, 10], [28, 30]])
        assert off.max() <= 2 * questions.BOX_JITTER * 20 + 1e-4
        exact.append(off.max() < 1e-4)
    assert 0 < sum(exact) < len(exact)


def answers(*masks: BinaryMask) -> Tensor:
    return torch.from_numpy(np.where(np.stack(masks), 3.0, -3.0).astype(np.float32))


def test_the_next_click_lies_in_the_middle_of_the_largest_error(
    labels: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "SWITCH_PROBABILITY", 0)
    asked = first_questions(labels, False, np.random.default_rng(0))
    missed = box_mask((48, 64), Box(8, 10, 13, 30), Box(50, 2, 54, 6))  # 15 columns are missing
    extra = box_mask((48, 64), Box(2, 5, 62, 40))  # 38 columns too many
    logits = answers(missed, extra)
    after = next_questions(asked, logits, np.random.default_rng(0))
    assert after.kinds.tolist() == [[POSITIVE, POSITIVE, NO_POINT], [POSITIVE, NEGATIVE, NO_POINT]]
    (y0, x0), (y1, x1) = values_at(after.points[:, 1])
    assert 18 <= x0 <= 22  # of 13 to 27
    assert 17 <= y0 <= 23
    assert not labels[1, OBJECT, y1, x1]
    assert extra[y1, x1]
    assert np.array_equal(after.points[:, 0], asked.points[:, 0])
    assert after.masks is not None
    assert torch.equal(after.masks[:, 0], logits)


def test_a_right_answer_gets_no_click_and_padding_stays_last(labels: Labels) -> None:
    asked = first_questions(labels[1:], True, np.random.default_rng(0))
    right, empty = (answers(m) for m in (labels[1, OBJECT] > 0, np.zeros((48, 64), np.bool_)))
    again = next_questions(asked, right, np.random.default_rng(0))
    assert again.kinds.tolist() == [[TOP_LEFT, BOTTOM_RIGHT, NO_POINT]]
    last = next_questions(again, empty, np.random.default_rng(0))
    assert last.kinds.tolist() == [[TOP_LEFT, BOTTOM_RIGHT, POSITIVE, NO_POINT]]
    ((y, x),) = values_at(last.points[:, 2])
    assert labels[1, OBJECT, y, x] == FULL


def test_corrections_may_lead_to_a_known_part_or_whole(
    labels: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "SWITCH_PROBABILITY", 1)
    wanted = set()
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        asked = first_questions(labels, False, rng)
        right = answers(*asked.wanted_targets)
        after = next_questions(asked, right, rng)
        assert after.known[0, after.wanted[0]]
        assert after.wanted[1] == OBJECT
        assert np.array_equal(after.wanted_targets[0], labels[0, after.wanted[0]] > 0)
        wanted.add((int(after.wanted[0]), int(after.kinds[0, 1])))
    assert wanted == {(PART, NEGATIVE), (WHOLE, POSITIVE)}


# --- losses -------------------------------------------------------------------------------------


TARGET = torch.from_numpy(box_mask((32, 32), Box(8, 8, 20, 20))).float()
RIGHT = 12 * TARGET - 6
INSIDE = torch.ones(32, 32)


def test_the_mask_loss_is_smallest_when_the_mask_is_right() -> None:
    right = losses.mask_loss(RIGHT, TARGET, INSIDE)
    wrong = [losses.mask_loss(RIGHT.roll(n, 1), TARGET, INSIDE) for n in (1, 4, 12)]
    assert 0 <= right < 0.05
    assert right < wrong[0] < wrong[1] < wrong[2] < losses.mask_loss(-RIGHT, TARGET, INSIDE)


def test_what_is_beyond_the_photo_does_not_count() -> None:
    inside = INSIDE.clone()
    inside[:, 24:] = 0
    beyond = RIGHT.clone()
    beyond[:, 24:] = 50
    for measure in (losses.mask_loss, losses.iou):
        torch.testing.assert_close(measure(beyond, TARGET, inside), measure(RIGHT, TARGET, inside))


def test_iou_is_that_of_the_masks() -> None:
    shifted = losses.iou(RIGHT.roll(4, 1), TARGET, INSIDE)
    assert float(shifted) == pytest.approx(8 / 16)
    assert float(losses.iou(RIGHT, TARGET, INSIDE)) == 1


def test_the_score_should_be_the_iou() -> None:
    shifted = RIGHT.roll(4, 1)[None]
    scored = {s: losses.single_loss(shifted, torch.tensor([s]), TARGET[None], INSIDE)
              for s in (0.2, 0.5, 0.9)}  # fmt: skip
    assert min(scored, key=lambda score: float(scored[score])) == 0.5


def test_of_the_other_masks_the_best_counts_for_each_known_target() -> None:
    part = torch.from_numpy(box_mask((32, 32), Box(8, 8, 20, 12))).float()
    targets = torch.stack([TARGET, part])[None]
    logits, scores = torch.stack([-RIGHT, RIGHT, 12 * part - 6])[None], torch.ones(1, 3)
    both, first = torch.ones(1, 2), torch.tensor([[1.0, 0.0]])
    right = losses.alternatives_loss(logits, scores, targets, both, INSIDE)
    assert right < 0.1
    without_part = torch.stack([-RIGHT, RIGHT, -RIGHT])[None]
    assert losses.alternatives_loss(without_part, scores, targets, both, INSIDE) > 5 * right
    assert losses.alternatives_loss(without_part, scores, targets, first, INSIDE) < 0.1


def test_masks_equal_to_the_teachers_cost_nothing() -> None:
    taught = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert float(losses.teacher_loss(taught, taught, INSIDE)) == pytest.approx(0, abs=1e-6)
    assert losses.teacher_loss(taught.roll(1, 2), taught, INSIDE) > 0.1


# --- training -----------------------------------------------------------------------------------


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder with random weights in the published layout."""
    write_decoder(randomize(Decoder()), tmp_path / "sam.onnx")
    return tmp_path


@pytest.fixture
def stored(tmp_path: Path, labels: Labels) -> Path:
    """Windows for training and validation whose embeddings show the objects plainly."""
    rng = np.random.default_rng(0)
    code = rng.normal(0, 1, (2, EMBEDDING_CHANNELS, 1, 1))
    small = [cv2.resize(label[OBJECT], (16, 12), interpolation=cv2.INTER_AREA) for label in labels]
    embedding = sum(c * (values / FULL) for c, values in zip(code, small, strict=True))
    for name in ("training/00000", "training/00001", "validation/00000"):
        path = tmp_path / "windows" / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, embedding=np.float16(embedding), labels=labels, size=(190, 250))
    return tmp_path / "windows"


def test_the_photo_ends_where_its_window_does(stored: Path) -> None:
    window = train.read_window(stored / "training" / "00000.npz", torch.device("cpu"))
    assert window.embedding.shape == (1, EMBEDDING_CHANNELS, 12, 16)
    assert window.inside.sum() == 47 * 62
    assert window.inside[:47, :62].all()


def test_rounds_add_clicks_to_the_questions(stored: Path, labels: Labels) -> None:
    window = train.read_window(stored / "training" / "00000.npz", torch.device("cpu"))
    rng = np.random.default_rng(0)
    with torch.no_grad():
        rounds = list(train.play(Decoder(), window, first_questions(labels, False, rng), rng))
    assert [r.questions.kinds.shape for r in rounds] == [(2, 2), (2, 3), (2, 4)]
    assert all(r.logits.shape == (2, OUTPUTS, 48, 64) for r in rounds)
    assert rounds[1].questions.masks is not None
    assert torch.equal(rounds[1].questions.masks[:, 0], rounds[0].logits[:, 0])


def test_training_resumes_from_a_checkpoint(weights: Path, stored: Path) -> None:
    files = sorted((stored / "training").glob("*.npz"))
    trainer = train.Trainer(weights, 1e-3, questions=2, seed=0)
    for _ in range(2):
        rows = trainer.train_step(files, 1.0)
    assert len(rows) == 2
    assert all(np.isfinite(value) for row in rows for value in row.values())
    trainer.elapsed = 40.0
    trainer.save(stored / "checkpoint.pt")
    resumed = train.Trainer(weights, 1e-3, questions=2, seed=1)
    start = {name: value.clone() for name, value in resumed.network.state_dict().items()}
    resumed.load(stored / "checkpoint.pt")
    assert (resumed.step, resumed.elapsed, resumed.questions) == (2, 40.0, 8)
    for network, copy in ((trainer.network, resumed.network), (trainer.mean, resumed.mean)):
        for name, value in network.state_dict().items():
            assert torch.equal(value, copy.state_dict()[name])
    moved = [n for n, value in resumed.network.state_dict().items() if (value != start[n]).any()]
    assert len(moved) > 100
    assert (
        resumed.optimizer.state_dict()["state"].keys()
        == trainer.optimizer.state_dict()["state"].keys()
    )


def test_steps_make_the_answers_better(
    weights: Path, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "WARMUP_STEPS", 1)
    monkeypatch.setattr(train, "BOX_PROBABILITY", 0)
    files = sorted((stored / "training").glob("*.npz"))[:1]
    trainer = train.Trainer(weights, 1e-3, questions=2, seed=0)
    seen = [trainer.train_step(files, 1.0)[0] for _ in range(25)]
    values = [row["click_loss1"] for row in seen]
    assert np.mean(values[-3:]) < 0.75 * np.mean(values[:3])


def test_a_run_ends_in_time_with_its_tables_and_checkpoint(
    weights: Path, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "LOG_STEPS", 1)
    trainer = train.Trainer(weights, 1e-4, questions=1, seed=0)
    train.train(trainer, stored, tmp_path, seconds=0.2, batch=1)
    assert trainer.step >= 1
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["counts"]["step"] == trainer.step
    assert not list(tmp_path.glob("*.part"))
    with (tmp_path / "log.csv").open() as file:
        logged = list(csv.DictReader(file))
    assert [int(float(row["step"])) for row in logged] == list(range(1, trainer.step + 1))
    for row in logged:  # a step on one window has either clicks or a box
        assert (row["click_iou1"] == "") != (row["box_iou1"] == "")
    with (tmp_path / "validation.csv").open() as file:
        validated = list(csv.DictReader(file))
    assert len(validated) == 2
    assert all(0 <= float(row[f"{kind}_iou3"]) <= 1 for row in validated
               for kind in ("click", "box"))  # fmt: skip


def test_a_folder_without_windows_is_named(weights: Path, tmp_path: Path) -> None:
    trainer = train.Trainer(weights, 1e-4, questions=1, seed=0)
    with pytest.raises(ValueError, match="training: no windows; write them with"):
        train.train(trainer, tmp_path, tmp_path, seconds=1, batch=1)
