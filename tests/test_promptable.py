"""What all promptable networks share, and those of transformers against the library's own."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import tiny_detectors
import torch
from segment_anything import SamAutomaticMaskGenerator

from segment2inpaint.detect.sam import automatic
from segment2inpaint.detect.sam.original import SamDetector
from segment2inpaint.detect.sam.predictor import (
    PromptableDetector,
    _alike,
    _MaskPrediction,
    _objects,
    _PromptedObject,
    _refines,
)
from segment2inpaint.detect.sam.transformers import TransformersSamDetector
from segment2inpaint.errors import BadModel, BadPrompt, ModelMissing
from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.types import Box, Everything, Image, Points, Text, UserMask

TIMM = find_spec("timm") is not None
NAMES = [
    pytest.param(name, marks=pytest.mark.skipif(name == "edgetam" and not TIMM, reason="no timm"))
    for name in tiny_detectors.PROMPTABLE
]
CLICK, PAIR, BESIDE, BOX = (
    ObjectPrompt(include=((40, 30),)),
    ObjectPrompt(include=((40, 30), (60, 50))),
    ObjectPrompt(include=((40, 30),), exclude=((10, 80),)),
    ObjectPrompt(box=Box(20, 10, 90, 70)),
)
BOTH = ObjectPrompt(include=((40, 30),), box=Box(20, 10, 90, 70))


def photo(height: int = 90, width: int = 140, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        name: make(tmp_path_factory.mktemp(name))
        for name, make in tiny_detectors.PROMPTABLE.items()
        if TIMM or name != "edgetam"
    }


@pytest.fixture(scope="module")
def detectors(folders: dict[str, Path]) -> dict[str, PromptableDetector]:
    return {name: TransformersSamDetector(folder, "cpu") for name, folder in folders.items()}


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> SamDetector:
    return SamDetector(tiny.save_sam(tmp_path_factory.mktemp("sam")), "cpu")


@cache
def theirs(folder: Path, name: str) -> tuple[Any, Any]:
    """The library's own model and processor, as its documentation loads them."""
    import transformers

    classes = {
        "sam-hq": ("SamHQModel", "SamHQProcessor"),
        "sam2": ("Sam2Model", "Sam2Processor"),
        "edgetam": ("EdgeTamModel", "Sam2Processor"),
        "sam3": ("Sam3TrackerModel", "Sam3TrackerProcessor"),
    }
    model, processor = (getattr(transformers, c).from_pretrained(folder) for c in classes[name])
    return model.eval(), processor


def own_predictor(
    folder: Path, name: str, image: Image, target: ObjectPrompt, multimask: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, scores and masks of one object, from photo and prompt, by the library alone."""
    model, processor = theirs(folder, name)
    clicks = [*target.include, *target.exclude]
    labels = [1] * len(target.include) + [0] * len(target.exclude)
    inputs = processor(
        images=image,
        input_points=[[[list(c) for c in clicks]]] if clicks else None,
        input_labels=[[labels]] if clicks else None,
        input_boxes=[[[float(v) for v in target.box]]] if target.box else None,
        return_tensors="pt",
    )
    sizes = {k: inputs.pop(k) for k in ("original_sizes", "reshaped_input_sizes") if k in inputs}
    inputs = {k: v.float() if v.dtype == torch.float64 else v for k, v in inputs.items()}
    with torch.inference_mode():
        out = model(**inputs, multimask_output=multimask)
    post = processor.image_processor if name == "sam-hq" else processor
    masks = post.post_process_masks(out.pred_masks, *sizes.values())[0][0]
    return out.pred_masks[0, 0].numpy(), out.iou_scores[0, 0].numpy(), masks.numpy()


# --- against the library ----------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", [CLICK, PAIR, BESIDE, BOX, BOTH])
@pytest.mark.parametrize("multimask", [False, True])
def test_masks_are_those_of_transformers(
    folders: dict[str, Path],
    detectors: dict[str, PromptableDetector],
    name: str,
    target: ObjectPrompt,
    multimask: bool,
) -> None:
    """From the photo to the mask at its size, number for number, on the same prompt."""
    image = photo(75, 130)
    low, scores, masks = own_predictor(folders[name], name, image, target, multimask)
    detector = detectors[name]
    network, size = detector._network, image.shape[:2]
    with torch.inference_mode():
        (embedding,) = network.embed([image])
        got, got_scores = detector._decode(
            embedding, size, [_PromptedObject(target, None)], None, multimask
        )
        full = network.upscaled(got, size)[0]
    assert np.abs(low).max() > 0.1
    np.testing.assert_allclose(got[0], low, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got_scores[0], scores, atol=1e-6)
    assert np.array_equal((full > 0).numpy(), masks)


@pytest.mark.parametrize("name", NAMES)
def test_several_objects_in_one_decode(detectors: dict[str, PromptableDetector], name: str) -> None:
    """As many photos for the library, each mask what it is alone, a start for each included."""
    detector, size = detectors[name], (90, 140)
    objects = [_PromptedObject(ObjectPrompt(box=Box(20, 10, 90 + i, 70)), None) for i in range(3)]
    with torch.inference_mode():
        (embedding,) = detector._network.embed([photo()])
        starts, _ = detector._decode(embedding, size, objects, None, False)
        together, _ = detector._decode(embedding, size, objects, starts, False)
        for i, thing in enumerate(objects):
            alone, _ = detector._decode(embedding, size, [thing], starts[i : i + 1], False)
            np.testing.assert_allclose(together[i], alone[0], atol=1e-4)
    assert not np.allclose(together[0], together[1], atol=1e-4)
    assert not np.allclose(together, starts, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_several_photos_in_one_encode(detectors: dict[str, PromptableDetector], name: str) -> None:
    images = [photo(seed=1), photo(60, 50, seed=2)]
    network = detectors[name]._network
    with torch.inference_mode():
        together = network.embed(images)
        for image, embedding in zip(images, together, strict=True):
            (alone,) = network.embed([image])
            for level, tensor in alone.items():
                np.testing.assert_allclose(embedding[level], tensor, atol=1e-4)


@pytest.mark.parametrize("name", [*NAMES, "sam"])
def test_a_half_precision_encoder_gives_whole_numbers(
    detectors: dict[str, PromptableDetector], sam: SamDetector, name: str
) -> None:
    """As on a GPU; the decoders compute in float32, for SAM's own breaks in half."""
    network = sam._network if name == "sam" else detectors[name]._network
    assert network.dtype == torch.float32
    with torch.inference_mode():
        (whole,) = network.embed([photo()])
        try:
            network.dtype = torch.bfloat16
            (half,) = network.embed([photo()])
        finally:
            network.dtype = torch.float32
    for level, tensor in whole.items():
        assert half[level].dtype == torch.float32
        assert not torch.equal(half[level], tensor)
        assert (half[level] - tensor).abs().mean() < 0.1 * tensor.abs().mean()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [*NAMES, "sam"])
def test_photos_may_be_read_only_views(
    detectors: dict[str, PromptableDetector], sam: SamDetector, name: str
) -> None:
    detector = sam if name == "sam" else detectors[name]
    view = photo()[:, ::-1]
    view.setflags(write=False)
    got, expected = (detector.detect(p, [Box(20, 10, 90, 70)]) for p in (view, view.copy()))
    assert (got[0].mask == expected[0].mask).all()


def test_prepared_photos_are_not_embedded_again(sam: SamDetector) -> None:
    runs = []
    hook = sam._network._sam.image_encoder.register_forward_hook(
        lambda _, given, __: runs.append(len(given[0]))
    )
    images = [photo(seed=s) for s in (11, 12, 13)]
    sam.prepare(images)
    for image in images:
        sam.detect(image, [Points(((40, 30),))])
    hook.remove()
    assert runs == [3]


@pytest.mark.parametrize("name", NAMES)
def test_every_prompt_gives_masks(detectors: dict[str, PromptableDetector], name: str) -> None:
    own = np.zeros((90, 140), bool)
    own[20:60, 30:90] = True
    image = photo()
    before = image.copy()
    for prompt in (Points(((40, 30),)), Box(20, 10, 90, 70), UserMask(own)):
        (mask,) = detectors[name].detect(image, [prompt])
        assert mask.mask.shape == (90, 140)
        assert 0 <= mask.score <= 1
        assert mask.edge_uncertainty == 1.25 * 140 / 32
    assert (image == before).all()


def test_everything_is_that_of_segment_anything(sam: SamDetector) -> None:
    """The automatic generator's own masks, on a photo that fills the frame as it is."""
    image = photo(256, 256)
    network = sam._network
    generator = SamAutomaticMaskGenerator(
        network._sam,
        points_per_side=4,
        pred_iou_thresh=-9,
        stability_score_thresh=-9,
        box_nms_thresh=1.0,
    )
    expected = generator.generate(image)
    with torch.inference_mode():
        (embedding,) = network.embed([image])

        def decode(points: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
            from segment2inpaint.detect.sam.predictor import PromptTensors

            xy = torch.as_tensor(points[:, None], dtype=torch.float32)
            return network.decode(embedding, PromptTensors(xy, torch.ones(len(xy), 1)), True)

        found = automatic.candidates(
            decode, lambda low: network.framed(low, (256, 256)), (256, 256), 4, -9.0, -9.0, 1.0
        )
        masks = [(network.upscaled(low[None, None], (256, 256))[0, 0] > 0) for low, _ in found]
    assert len(expected) == len(found) > 1
    for mask, (_, score), known in zip(masks, found, expected, strict=True):
        assert score == pytest.approx(known["predicted_iou"], abs=1e-5)
        assert (mask.numpy() != known["segmentation"]).mean() < 1e-3


def test_everything_keeps_the_good_ones_once() -> None:
    """Of two discs: each once though clicked often, none by a poor score or a soft edge."""
    y, x = np.mgrid[:64, :64]
    discs = [9 - np.hypot(x - cx, y - 20) for cx in (16, 48)]

    def decode(points: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        hard = [20 * discs[int(px > 32)] for px, _ in points]
        soft = [0.1 * disc for disc in hard]
        low = torch.tensor(np.stack([hard, soft, hard], axis=1), dtype=torch.float32)
        return low, torch.tensor([[0.9 + float(px) / 1000, 0.95, 0.5] for px, _ in points])

    found = automatic.candidates(decode, lambda low: low, (64, 64), 6)
    assert len(found) == 2
    for (low, score), disc in zip(found, reversed(discs), strict=True):
        assert score > 0.9
        assert ((low > 0).numpy() == (disc > 0)).all()


# --- prompts ----------------------------------------------------------------------------------


def test_an_own_mask_is_a_box_a_point_and_a_start() -> None:
    own = np.zeros((90, 140), bool)
    own[20:61, 30:91] = True
    prompts = [Points(((5, 5),)), UserMask(own), Points(((50, 50),), ((35, 25),))]
    whole, alone = _objects(prompts)
    assert whole.target == ObjectPrompt(((50, 50), (50, 40)), ((35, 25),), Box(30, 20, 91, 61)) or (
        whole.target.include[0] == (50, 50) and own[whole.target.include[1][::-1]]
    )
    assert whole.mask is own
    assert alone.target.include == ((5, 5),)
    assert alone.mask is None


@pytest.mark.parametrize("size", [(90, 140), (140, 90), (60, 400)])
def test_an_own_mask_comes_back_from_its_logits(sam: SamDetector, size: tuple[int, int]) -> None:
    """Up to pixels of the network's own mask."""
    own = np.zeros(size, bool)
    own[size[0] // 4 : -size[0] // 4, size[1] // 3 : -size[1] // 4] = True
    logits = sam._as_logits(own, size)
    assert logits.abs().max() <= 10
    back = (sam._network.upscaled(logits[None], size)[0, 0] > 0).numpy()
    assert (back & own).sum() / (back | own).sum() > 0.7


def test_objects_of_one_kind_are_decoded_together() -> None:
    """Padded prompts would change each other's masks."""
    kinds = [CLICK, BOX, CLICK, PAIR, BOTH, ObjectPrompt(include=((1, 1),), granularity="part")]
    kinds.append(ObjectPrompt(include=((1, 1), (2, 2)), granularity="part"))
    groups = list(_alike([_PromptedObject(target, None) for target in kinds]))
    assert groups == [[0, 2, 5], [1], [3], [4], [6]]
    assert [len(g) for g in _alike([_PromptedObject(CLICK, None)] * 40)] == [16, 16, 8]


def test_a_refined_mask_must_be_the_same_object_and_no_worse() -> None:
    def answer(width: int, score: float = 0.9, fits: bool = True) -> _MaskPrediction:
        logits = torch.full((10, 10), -1.0)
        logits[:, :width] = 1
        return _MaskPrediction(logits, score, fits)

    assert _refines(answer(8), answer(10))
    assert not _refines(answer(3), answer(10))
    assert not _refines(answer(10, 0.8), answer(10))
    assert not _refines(answer(10, fits=False), answer(10))


@pytest.mark.parametrize(
    "prompts",
    [
        [Points(tuple((i % 140, i % 90) for i in range(200)))],
        [Points(((0, 0),))],
        [Points(((139, 89),), ((0, 89),))],
        [Box(-50, -50, 500, 500)],
        [Box(139, 89, 140, 90)],
        [Box(i, i, i + 40, i + 40) for i in range(40)],
    ],
)
def test_hard_prompts(sam: SamDetector, prompts: list[Any]) -> None:
    masks = sam.detect(photo(), prompts)
    assert len(masks) <= len(prompts)
    assert all(mask.mask.shape == (90, 140) for mask in masks)


def test_prompts_that_it_cannot_take(sam: SamDetector) -> None:
    with pytest.raises(BadPrompt, match="cannot use text, it takes points and boxes and masks"):
        sam.detect(photo(), [Text("a dog")])
    with pytest.raises(BadPrompt, match="no other prompt beside it"):
        sam.detect(photo(), [Everything(), Box(1, 1, 9, 9)])


# --- folders ----------------------------------------------------------------------------------


def test_hubs_video_models_are_their_image_part(folders: dict[str, Path], tmp_path: Path) -> None:
    """The hub's config.json names the video class; its other tensors are left alone."""
    from safetensors.torch import load_file, save_file

    for file in folders["sam2"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "sam2_video"}))
    weights = load_file(tmp_path / "model.safetensors")
    save_file(
        {**weights, "memory_attention.layer.weight": torch.ones(1)},
        tmp_path / "model.safetensors",
        metadata={"format": "pt"},
    )
    masks = [
        TransformersSamDetector(folder, "cpu").detect(photo(), [Box(20, 10, 90, 70)])
        for folder in (folders["sam2"], tmp_path)
    ]
    assert TransformersSamDetector(tmp_path, "cpu").name == "sam2"
    assert (masks[0][0].mask == masks[1][0].mask).all()


def test_folders_that_are_no_detector(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="no model of transformers here"):
        TransformersSamDetector(tmp_path, "cpu")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(BadModel, match="a bert model, not one of"):
        TransformersSamDetector(tmp_path, "cpu")
    (tmp_path / "config.json").write_text((folders["sam2"] / "config.json").read_text())
    with pytest.raises(BadModel, match="cannot be loaded as Sam2Model"):
        TransformersSamDetector(tmp_path, "cpu")


def test_missing_tensors_are_not_made_up(folders: dict[str, Path], tmp_path: Path) -> None:
    """transformers would fill them with random numbers and go on."""
    from safetensors.torch import load_file, save_file

    for file in folders["sam2"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("mask_decoder.iou_token.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadModel, match=r"1 tensors .* mask_decoder\.iou_token\.weight"):
        TransformersSamDetector(tmp_path, "cpu")


@pytest.mark.skipif(TIMM, reason="timm is here")
def test_edgetam_says_what_it_needs(tmp_path: Path) -> None:
    backbone = {"model_type": "timm_wrapper", "architecture": "repvit_m1"}
    config = {"model_type": "edgetam", "vision_config": {"backbone_config": backbone}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelMissing, match="pip install timm"):
        TransformersSamDetector(tmp_path, "cpu")
