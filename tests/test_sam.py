"""Segment Anything: weights in, prompts in, masks out."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import save_file
from segment_anything import SamPredictor, sam_model_registry

from segment2inpaint.detect.sam import checkpoint as sam_weights
from segment2inpaint.detect.sam.checkpoint import build, read
from segment2inpaint.detect.sam.mask_selection import choose_mask, clean
from segment2inpaint.detect.sam.original import SamDetector
from segment2inpaint.detect.sam.predictor import _PromptedObject
from segment2inpaint.errors import BadImage, BadModel, BadOption, BadPrompt
from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.types import Box, Granularity, Image, Points, Text


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_sam(tmp_path_factory.mktemp("sam"))


@pytest.fixture(scope="module")
def detector(checkpoint: Path) -> SamDetector:
    return SamDetector(checkpoint, "cpu")


def photo(height: int = 90, width: int = 140, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# --- weights ---------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_network_is_read_off_the_weights(tmp_path: Path, suffix: str) -> None:
    built = build(read(tiny.save_sam(tmp_path, suffix)), tmp_path)
    original = tiny.sam()
    assert str(built) == str(original)
    pixels = torch.rand(1, 3, 256, 256) * 255
    with torch.inference_mode():
        expected = original.image_encoder(original.preprocess(pixels))
        got = built.image_encoder(built.preprocess(pixels))
    assert torch.equal(got, expected)


@pytest.mark.parametrize("size", ["vit_b", "vit_l", "vit_h"])
def test_sizes_of_meta(size: str) -> None:
    """The published networks, without their weights: equal layers, windows and heads."""
    with torch.device("meta"):
        theirs = sam_model_registry[size]()
        ours = sam_weights._network(theirs.state_dict())
    assert str(ours) == str(theirs)
    for a, b in zip(ours.image_encoder.blocks, theirs.image_encoder.blocks, strict=True):
        assert (a.window_size, a.attn.num_heads) == (b.window_size, b.attn.num_heads)
    assert ours.image_encoder.img_size == 1024
    assert torch.equal(ours.pixel_mean.flatten(), torch.tensor(sam_weights.MEAN))


def test_checkpoint_of_a_training_program(tmp_path: Path) -> None:
    """Wrapped, saved from several GPUs, in half precision."""
    weights = {f"module.{k}": v.half() for k, v in tiny.sam().state_dict().items()}
    torch.save({"model": weights, "epoch": 3}, tmp_path / "trained.pth")
    assert str(build(read(tmp_path / "trained.pth"), tmp_path)) == str(tiny.sam())


def test_layout_of_transformers_gives_the_same_masks(tmp_path: Path) -> None:
    """Both libraries, from one file, agree on embedding, logits and scores."""
    theirs = tiny.sam_of_transformers()
    theirs.save_pretrained(tmp_path)
    ours = build(read(tmp_path), tmp_path)
    pixels = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    point = torch.tensor([[[100.0, 60.0]]])
    with torch.inference_mode():
        expected = theirs(pixel_values=pixels, input_points=point[None], multimask_output=True)
        features = ours.image_encoder(pixels)
        sparse, dense = ours.prompt_encoder((point, torch.ones(1, 1)), None, None)
        logits, scores = ours.mask_decoder(
            features, ours.prompt_encoder.get_dense_pe(), sparse, dense, True
        )
    assert torch.allclose(logits, expected.pred_masks[0], atol=1e-4)
    assert torch.allclose(scores, expected.iou_scores[0], atol=1e-4)


def bad_files(folder: Path) -> dict[str, Path]:
    whole = tiny.save_sam(folder)
    cut = folder / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:50_000])
    torch.save({"model": Namespace(a=1)}, folder / "code.pth")
    (folder / "text.pth").write_text("not a checkpoint")
    save_file({"image_encoder.trunk.a": torch.zeros(1)}, folder / "sam2.safetensors")
    save_file({"weight": torch.zeros(1)}, folder / "other.safetensors")
    weights = tiny.sam().state_dict()
    del weights["mask_decoder.iou_token.weight"]
    save_file(weights, folder / "lacking.safetensors")
    (folder / "empty").mkdir()
    paths = [cut, *folder.glob("*.pth"), *folder.glob("[!s]*.safetensors"), folder / "empty"]
    return {path.name: path for path in [*paths, folder / "sam2.safetensors", folder / "none.pth"]}


def test_other_files_are_named_in_one_line(tmp_path: Path) -> None:
    files = bad_files(tmp_path)
    assert len(files) == 8
    for path in files.values():
        with pytest.raises(BadModel) as caught:
            SamDetector(path, "cpu")
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_sam2_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="but SAM 2"):
        SamDetector(bad_files(tmp_path)["sam2.safetensors"], "cpu")


def test_device_that_is_not_here(checkpoint: Path) -> None:
    with pytest.raises(BadOption, match=r"it has .*cpu"):
        SamDetector(checkpoint, "cuda:7")


# --- prompts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(90, 140), (300, 200), (512, 700)])
@pytest.mark.parametrize(
    "target",
    [
        ObjectPrompt(include=((40, 30),)),
        ObjectPrompt(include=((40, 30), (60, 50)), exclude=((10, 80),)),
        ObjectPrompt(box=Box(20, 10, 90, 70)),
        ObjectPrompt(include=((40, 30),), box=Box(20, 10, 90, 70)),
    ],
)
def test_masks_are_those_of_sampredictor(
    detector: SamDetector, target: ObjectPrompt, size: tuple[int, int]
) -> None:
    """Number for number, on the same prompt, for the single mask and the three."""
    image = photo(*size)
    theirs = SamPredictor(tiny.sam())
    theirs.set_image(image)
    clicks = [*target.include, *target.exclude]
    prompt = {
        "point_coords": np.array(clicks) if clicks else None,
        "point_labels": np.repeat([1, 0], [len(target.include), len(target.exclude)]),
        "box": np.array(target.box) if target.box else None,
    }
    one, score, low_one = theirs.predict(**prompt, multimask_output=False)
    three, scores, low_three = theirs.predict(**prompt, multimask_output=True)
    network, thing = detector._network, [_PromptedObject(target, None)]
    with torch.inference_mode():
        (embedding,) = network.embed([image])
        for multimask, masks, known, low in (
            (False, one, score, low_one),
            (True, three, scores, low_three),
        ):
            got, got_scores = detector._decode(embedding, size, thing, None, multimask)
            assert np.array_equal(got[0], low)
            assert np.array_equal(got_scores[0], known)
            assert np.array_equal(network.upscaled(got, size)[0] > 0, masks)


def test_a_mask_as_prompt_is_that_of_sampredictor(detector: SamDetector) -> None:
    image, target = photo(), ObjectPrompt(include=((40, 30),))
    theirs = SamPredictor(tiny.sam())
    theirs.set_image(image)
    clicked = {"point_coords": np.array(target.include), "point_labels": np.array([1])}
    _, _, low = theirs.predict(**clicked)
    expected, _, expected_low = theirs.predict(
        **clicked, mask_input=low[:1], multimask_output=False
    )
    with torch.inference_mode():
        (embedding,) = detector._network.embed([image])
        start = torch.as_tensor(low[:1])[None]
        got, _ = detector._decode(
            embedding, image.shape[:2], [_PromptedObject(target, None)], start, False
        )
    assert np.array_equal(got[0], expected_low)
    assert np.array_equal(detector._network.upscaled(got, image.shape[:2])[0] > 0, expected)


def test_a_mask_for_each_object(detector: SamDetector) -> None:
    image = photo()
    before = image.copy()
    prompts = [Points(((40, 30),)), Box(60, 20, 120, 80), Points((), ((5, 5),))]
    masks = detector.detect(image, prompts)
    assert len(masks) == 2
    assert all(mask.mask.shape == (90, 140) and mask.mask.any() for mask in masks)
    assert all(0 <= mask.score <= 1 for mask in masks)
    assert masks[0].edge_uncertainty == pytest.approx(1.25 * 140 / 64)
    assert np.array_equal(image, before)


def test_prompts_do_not_disturb_each_other(detector: SamDetector) -> None:
    first, second = Points(((40, 30),)), Points(((100, 60),))
    together = detector.detect(photo(), [first, second])
    alone = [detector.detect(photo(), [prompt])[0] for prompt in (first, second)]
    for a, b in zip(together, alone, strict=True):
        assert np.array_equal(a.mask, b.mask)


def test_embedding_is_kept_for_the_same_pixels_only(checkpoint: Path) -> None:
    detector = SamDetector(checkpoint, "cpu")
    looks = 0

    def count(*_: object) -> None:
        nonlocal looks
        looks += 1

    detector._network._sam.image_encoder.register_forward_hook(count)
    prompt = [Points(((40, 30),))]
    detector.detect(photo(), prompt)
    detector.detect(photo().copy(), [Box(10, 10, 50, 50)])
    assert looks == 1
    detector.detect(photo(seed=1), prompt)
    detector.detect(photo().reshape(140, 90, 3), prompt)
    assert looks == 3


@pytest.mark.parametrize(
    "prompts", [[], [Text("dog")], [Points((), ((1, 1),))], [Points(((500, 1),))]]
)
def test_prompts_it_cannot_use(detector: SamDetector, prompts: list[object]) -> None:
    with pytest.raises(BadPrompt):
        detector.detect(photo(), prompts)  # type: ignore[arg-type]


def test_photo_too_thin(detector: SamDetector) -> None:
    with pytest.raises(BadImage, match="too thin"):
        detector.detect(photo(1, 600), [Points(((3, 0),))])


def test_views_are_accepted(detector: SamDetector) -> None:
    """A flipped photo is a view with negative strides; it gives what its copy gives."""
    view = photo()[:, ::-1]
    prompt = [Points(((40, 30),))]
    got, expected = detector.detect(view, prompt), detector.detect(view.copy(), prompt)
    assert np.array_equal(got[0].mask, expected[0].mask)


# --- which mask ------------------------------------------------------------------------------


def logits(*areas: Box, size: tuple[int, int] = (40, 40)) -> np.ndarray:
    made = np.full((len(areas), *size), -9, np.float32)
    for layer, area in zip(made, areas, strict=True):
        layer[area.slices] = 9
    return made


NOTHING, PART, WHOLE, PHOTO = (
    Box(0, 0, 0, 0),
    Box(8, 8, 14, 14),
    Box(4, 4, 24, 24),
    Box(0, 0, 40, 40),
)
BETWEEN = Box(6, 6, 20, 20)
CLICK = ObjectPrompt(include=((10, 10),))


def pick(masks: np.ndarray, scores: list[float], target: ObjectPrompt = CLICK) -> int | None:
    choice = choose_mask(masks, np.array(scores, np.float32), target)
    return choice.which if choice else None


def test_of_nearly_equal_masks_the_largest_is_taken() -> None:
    assert pick(logits(PART, WHOLE, PART), [0.9, 0.87, 0.9]) == 1


def test_the_better_mask_is_taken() -> None:
    assert pick(logits(PART, WHOLE, PART), [0.9, 0.7, 0.8]) == 0


@pytest.mark.parametrize(
    ("granularity", "expected"), [("auto", 2), ("part", 2), ("object", 0), ("whole", 1)]
)
def test_granularity(granularity: Granularity, expected: int) -> None:
    """The sound masks by their size; how good exactly they are matters to ``auto`` only."""
    target = ObjectPrompt(include=((10, 10),), granularity=granularity)
    assert pick(logits(BETWEEN, WHOLE, PART, PHOTO), [0.7, 0.6, 0.9, 0.2], target) == expected


def test_a_click_does_not_mean_the_whole_photo() -> None:
    assert pick(logits(PART, WHOLE, PHOTO), [0.6, 0.7, 0.99]) == 1


def test_a_mask_must_obey_the_clicks() -> None:
    target = ObjectPrompt(include=((10, 10),), exclude=((20, 20),))
    assert pick(logits(WHOLE, PART, WHOLE, WHOLE), [0.9, 0.5, 0.9, 0.9], target) == 1


def test_a_mask_must_lie_in_its_box() -> None:
    target = ObjectPrompt(box=Box(7, 7, 15, 15))
    assert pick(logits(WHOLE, PART, PHOTO), [0.9, 0.5, 0.9], target) == 1


def test_a_box_may_be_the_photo() -> None:
    assert pick(logits(PHOTO), [0.5], ObjectPrompt(box=PHOTO)) == 0


def test_both_sides_have_a_scale() -> None:
    """As in networks that stretch the photo into a square."""
    masks = logits(Box(0, 0, 20, 10), Box(0, 10, 20, 20))
    target = ObjectPrompt(include=((100, 30),))
    choice = choose_mask(masks, np.ones(2, np.float32), target, (0.1, 0.5))
    assert choice == (1, True)


def test_if_none_obeys_the_best_is_taken() -> None:
    target = ObjectPrompt(include=((35, 35),))
    choice = choose_mask(logits(PART, WHOLE, NOTHING), np.array([0.3, 0.9, 1.0]), target)
    assert choice == (1, False)


def test_nothing_found() -> None:
    assert pick(logits(NOTHING, NOTHING, NOTHING), [1.0, 1.0, 1.0]) is None


def test_specks_go_and_what_was_clicked_stays() -> None:
    bits = np.zeros((60, 60), bool)
    bits[5:45, 5:45] = True
    bits[20, 20] = bits[30, 30] = False  # holes, one of them clicked
    bits[50, 50] = bits[55, 55] = True  # islands, one of them clicked
    got = clean(bits, ObjectPrompt(include=((50, 50),), exclude=((30, 30),)))
    changed = {(int(y), int(x)) for y, x in np.argwhere(got != bits)}
    assert changed == {(20, 20), (55, 55)}


def test_real_holes_and_parts_stay() -> None:
    bits = np.zeros((60, 60), bool)
    bits[5:35, 5:35] = True
    bits[10:20, 10:20] = False
    bits[40:50, 40:50] = True
    assert np.array_equal(clean(bits, CLICK), bits)


def test_a_notch_in_the_rim_is_no_hole() -> None:
    """It is open to the outside, or to what lies beyond the photo's edge."""
    bits = np.zeros((60, 60), bool)
    bits[10:50, 10:60] = True
    bits[10, 30] = bits[30, 59] = False
    assert np.array_equal(clean(bits, CLICK), bits)


def test_an_empty_mask_stays_empty() -> None:
    assert not clean(np.zeros((9, 9), bool), CLICK).any()
