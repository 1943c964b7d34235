"""The small segmenter: its network, made scenes, lessons, and a training that can be killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from segment_anything import SamPredictor

from segment2inpaint import catalogue, detect
from segment2inpaint.clicked import Target
from segment2inpaint.detect.promptable import _Object
from segment2inpaint.detect.sam_weights import build, read
from segment2inpaint.types import BadModel, Box, Image, Points

TRAIN = Path(__file__).parent.parent / "models" / "train"
sys.path.insert(0, str(TRAIN))

import evaluate  # noqa: E402
import lessons  # noqa: E402
import network  # noqa: E402
import scenes  # noqa: E402
import train  # noqa: E402

torch.set_num_threads(1)  # layers this small are slower on several

TOY = network.SIZES["toy"]
SHORT = replace(train.PLANS["toy"], steps=4, batch=2, each=2, log=1, warmup=1)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return network.export(network.make(TOY), tmp_path_factory.mktemp("small"), 0)


@pytest.fixture(scope="module")
def made() -> scenes.Scenes:
    return scenes.make(3, 6, 128)


def photo(height: int = 90, width: int = 140) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


# --- the network -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", list(network.SIZES))
def test_every_size_is_read_off_its_weights(size: str) -> None:
    sam = network.make(network.SIZES[size])
    built = build(sam.state_dict(), Path("x"))
    assert str(built) == str(sam)
    assert built.image_encoder.img_size == network.SIZES[size].side
    assert built.prompt_encoder.input_image_size == sam.prompt_encoder.input_image_size


def test_the_full_size_is_small_enough(tmp_path: Path) -> None:
    sam = network.make(network.SIZES["full"])
    path = network.export(sam, tmp_path, 0)
    assert path.stat().st_size <= 16_000_000
    assert sum(p.numel() for p in sam.parameters()) <= 10_000_000
    assert {t.dtype for t in load_file(path).values()} == {torch.float16}


def test_a_file_too_large_is_refused(tmp_path: Path) -> None:
    large = replace(network.SIZES["full"], depths=(2, 3, 9, 3))
    with pytest.raises(ValueError, match="at most"):
        network.export(network.make(large), tmp_path, 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize(
    "target",
    [
        Target(include=((40, 30),), exclude=((90, 60),)),
        Target(box=Box(20, 10, 90, 70)),
        Target(include=((40, 30),), box=Box(20, 10, 90, 70)),
    ],
)
def test_masks_are_those_of_its_own_predictor(
    checkpoint: Path, target: Target, multimask: bool
) -> None:
    image, detector = photo(), detect.load(str(checkpoint), "cpu", cache=False)
    theirs = SamPredictor(build(read(checkpoint), checkpoint))
    theirs.set_image(image)
    clicks = [*target.include, *target.exclude]
    masks, scores, low = theirs.predict(
        point_coords=np.array(clicks) if clicks else None,
        point_labels=np.repeat([1, 0], [len(target.include), len(target.exclude)]),
        box=np.array(target.box) if target.box else None,
        multimask_output=multimask,
    )
    with torch.inference_mode():
        (embedding,) = detector._network.embed([image])
        got = detector._decode(embedding, (90, 140), [_Object(target, None)], None, multimask)
    assert np.array_equal(got[0][0], low)
    assert np.array_equal(got[1][0], scores)
    assert np.array_equal(detector._network.upscaled(got[0], (90, 140))[0] > 0, masks)


def test_it_is_found_by_its_card(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card that is written beside the weights, once both lie where they are looked for."""
    place = tmp_path / "s2i-small"
    place.mkdir()
    (place / checkpoint.name).write_bytes(checkpoint.read_bytes())
    card = catalogue._read(checkpoint.with_name("s2i-small.toml"))
    monkeypatch.setattr(catalogue, "cards", lambda: [card])
    monkeypatch.setattr(catalogue, "folder", lambda: tmp_path)
    found = detect.load("s2i-small", "cpu", cache=False).detect(photo(), [Points(((40, 30),))])
    direct = detect.load(str(checkpoint), "cpu", cache=False).detect(photo(), [Points(((40, 30),))])
    assert card.size == checkpoint.stat().st_size
    assert [m.score for m in found] == [m.score for m in direct]


def test_a_damaged_one_is_told_in_one_line(checkpoint: Path) -> None:
    weights = read(checkpoint)
    del weights["image_encoder.neck.0.weight"]
    with pytest.raises(BadModel, match=r"x\.pth: not a checkpoint"):
        build(weights, Path("x.pth"))


def test_prompts_of_several_photos_at_once() -> None:
    """Row by row as the decoder itself does it for one photo."""
    sam = network.make(TOY).eval()
    embeddings = torch.randn(2, TOY.dim, 8, 8)
    points = torch.tensor([[[9.0, 20.0]], [[40.0, 7.0]]]), torch.ones(2, 1)
    sparse, dense = sam.prompt_encoder(points, None, None)
    with torch.inference_mode():
        masks, scores = network.decode(sam, embeddings, sparse, dense)
        for i in range(2):
            one = sam.mask_decoder.predict_masks(
                embeddings[i : i + 1], sam.prompt_encoder.get_dense_pe(), sparse[[i]], dense[[i]]
            )
            assert torch.allclose(masks[i], one[0][0], atol=1e-5)
            assert torch.allclose(scores[i], one[1][0], atol=1e-5)


# --- scenes ----------------------------------------------------------------------------------


def test_a_seed_makes_the_same_scenes(made: scenes.Scenes) -> None:
    again, other = scenes.make(3, 6, 128), scenes.make(4, 6, 128)
    for name in ("images", "whole", "part", "mark"):
        assert torch.equal(getattr(made, name), getattr(again, name))
        assert not torch.equal(getattr(made, name), getattr(other, name))


def test_marks_lie_in_parts_and_parts_in_objects(made: scenes.Scenes) -> None:
    """Each in exactly one; and all three levels are there, with more than one part an object."""
    several = 0
    for inner, outer in ((made.mark, made.part), (made.part, made.whole)):
        for i in range(len(inner)):
            for number in inner[i].unique().tolist()[1:]:
                assert len(outer[i][inner[i] == number].unique()) == 1 or inner is made.mark
                assert bool((outer[i][inner[i] == number] > 0).all())
        assert bool((inner > 0).any())
    for i in range(len(made.part)):
        for number in made.whole[i].unique().tolist()[1:]:
            several += len(made.part[i][made.whole[i] == number].unique()) > 1
    assert several > 3


def test_edges_in_the_picture_are_those_of_the_masks() -> None:
    """Neighbours in different objects differ more than neighbours in the same one."""
    made = scenes.make(11, 8, 128)
    step = (made.images[:, :, :, 1:] - made.images[:, :, :, :-1]).abs().mean(1)
    inside = made.images[:, 0] == made.images[:, 0].round()
    photo = inside[..., 1:] & inside[..., :-1]
    edge = (made.whole[..., 1:] != made.whole[..., :-1]) & photo
    assert step[edge].mean() > 1.5 * step[~edge & photo].mean()


def test_held_out_objects_are_items_of_the_benchmark() -> None:
    """The click lies on the object, the box round it, and a detector takes the photo."""
    items = evaluate.held_out(2, 128, "whole")
    assert len(items) == 2
    for item in items:
        assert item.image.shape[:2] == item.truth.shape
        assert item.truth[item.click[1], item.click[0]]
        assert item.truth[item.box.slices].sum() == item.truth.sum()
    (line,) = evaluate.rows("grabcut", detect.load("grabcut"), {"made": items})
    assert line.startswith("| grabcut | made | 2 |")


def test_pictures_are_photos_that_begin_at_the_top_left(made: scenes.Scenes) -> None:
    inside = (made.images == made.images.round()).all(1)
    for rows, labels in zip(inside, made.whole, strict=True):
        high, wide = int(rows.any(1).sum()), int(rows.any(0).sum())
        assert max(high, wide) == 128
        assert bool(rows[:high, :wide].all())
        assert not labels[~rows].any()
    assert made.images.min() >= 0
    assert made.images.max() <= 255


# --- lessons ---------------------------------------------------------------------------------


def test_targets_are_masks_of_their_scene(made: scenes.Scenes) -> None:
    asked = lessons.targets(made, 5, torch.Generator().manual_seed(0))
    assert len(asked.bits) > 15
    for i, bits in zip(asked.photo, asked.bits, strict=True):
        known = [m[i] == n for m in (made.whole, made.part, made.mark) for n in m[i].unique() if n]
        assert any(torch.equal(bits, mask) for mask in known)


def test_a_click_lies_in_the_middle_of_the_largest_error() -> None:
    truth = torch.zeros(2, 64, 64, dtype=torch.bool)
    truth[:, 10:31, 10:31] = True
    found = truth.clone()
    found[0, 12:19, 12:19] = False  # something lacks, and there is a speck too many
    found[0, 50, 50] = True
    found[1, 40:51, 20:31] = True
    at, label = lessons.click(found, truth, torch.Generator().manual_seed(0))
    assert at.tolist() == [[15, 15], [25, 45]]
    assert label.tolist() == [1, 0]


def test_where_all_is_right_a_click_is_on_the_object() -> None:
    truth = torch.zeros(1, 64, 64, dtype=torch.bool)
    truth[:, 10:31, 10:31] = True
    (at,), (label,) = lessons.click(truth, truth, torch.Generator().manual_seed(0))
    assert label == 1
    assert truth[0, int(at[1]), int(at[0])]


def test_the_right_mask_has_the_least_loss() -> None:
    truth = torch.zeros(1, 32, 32)
    truth[:, 8:20, 8:20] = 1
    right = (truth * 2 - 1) * 9
    logits = torch.stack([right, -right, right.roll(6, 2)], dim=1)
    losses, overlap = lessons.judge(logits, torch.tensor([[1.0, 0.0, 0.5]]), truth)
    assert losses[0, 0].argmin() == 0
    assert losses[0, :, 0].max() < 0.01
    assert overlap[0].tolist() == pytest.approx([1, 0, 1 / 3])


# --- training --------------------------------------------------------------------------------


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / "checkpoint.pt", weights_only=True)
    return state["model"]  # type: ignore[return-value]


def test_killed_and_resumed_it_comes_to_the_same(tmp_path: Path) -> None:
    """A real process, killed with signal 9 after its first checkpoint."""
    code = (
        f"import sys; sys.path.insert(0, {str(TRAIN)!r}); import train; from pathlib import Path; "
        f"from dataclasses import replace; import torch; torch.set_num_threads(1); "
        f"plan = train.{SHORT!r}; "
        f"train.run(plan, Path({str(tmp_path / 'killed')!r}), 'cpu', 0, 0)"
    )
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    while not checkpoint.exists() and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    reached = torch.load(checkpoint, weights_only=True)["step"]
    assert 1 <= reached < SHORT.steps
    train.run(SHORT, tmp_path / "killed", "cpu", 0)
    train.run(SHORT, tmp_path / "whole", "cpu", 0)
    resumed, unbroken = weights(tmp_path / "killed"), weights(tmp_path / "whole")
    assert all(torch.equal(resumed[name], unbroken[name]) for name in unbroken)
    start = network.make(TOY).state_dict()
    assert not torch.equal(
        start["mask_decoder.iou_token.weight"], unbroken["mask_decoder.iou_token.weight"]
    )
    log = (tmp_path / "killed" / "log.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in log] == ["step", "1", "2", "3", "4"]
    for name in ("curve.png", "table.md", "model.safetensors"):
        assert (tmp_path / "killed" / name).stat().st_size > 100


@pytest.mark.slow
def test_it_learns_to_find_what_is_pointed_at() -> None:
    """A few made scenes, over and over: the loss falls, and masks are found that were not."""
    made, dice = scenes.make(5, 6, 64), torch.Generator().manual_seed(0)
    sam = network.make(TOY)
    optimiser = torch.optim.AdamW(sam.parameters(), 3e-3, betas=(0.9, 0.98))
    verdicts = []
    for step in range(240):
        optimiser.param_groups[0]["lr"] = 3e-3 * min(1, (step + 1) / 20)
        asked = lessons.targets(made, 6, dice)
        verdict = lessons.teach(sam, sam.image_encoder(sam.preprocess(made.images)), asked, 1, dice)
        verdict.loss.backward()
        torch.nn.utils.clip_grad_norm_(sam.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        verdicts.append((float(verdict.loss.detach()), float(verdict.first.mean())))
    (loss_before, before), (loss_after, after) = (
        np.mean(part, axis=0) for part in (verdicts[:5], verdicts[-20:])
    )
    assert loss_after < 0.5 * loss_before
    assert after > before + 0.1


def test_another_plan_is_refused(tmp_path: Path) -> None:
    train.Training(SHORT, "cpu").save(tmp_path / "checkpoint.pt")
    other = train.Training(replace(SHORT, seed=1), "cpu")
    with pytest.raises(Exception, match="another plan"):
        other.load(tmp_path / "checkpoint.pt")
