"""SAM-HQ, SAM 2, EdgeTAM and SAM 3's tracker against transformers itself."""

from __future__ import annotations

import json
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import tiny_detectors
import torch
from tiny_detectors import random_photo

from segment2inpaint import detect
from segment2inpaint.detect.sam.original import OriginalSamModel, SamDetector
from segment2inpaint.detect.sam.predictor import PromptableDetector
from segment2inpaint.detect.sam.prompt_tensors import PromptedObject, prompt_tensors
from segment2inpaint.detect.sam.transformers import TransformersSamDetector, TransformersSamModel
from segment2inpaint.errors import BadModel, ModelMissing
from segment2inpaint.networks.click import ObjectPrompt
from segment2inpaint.types import Box, Image, Points, UserMask

TIMM = find_spec("timm") is not None
NAMES = [
    pytest.param(name, marks=pytest.mark.skipif(name == "edgetam" and not TIMM, reason="no timm"))
    for name in tiny_detectors.PROMPTABLE
]
CLICK = ObjectPrompt(include=((40, 30),))
TWO_CLICKS = ObjectPrompt(include=((40, 30), (60, 50)))
NEGATIVE_CLICK = ObjectPrompt(include=((40, 30),), exclude=((10, 80),))
BOX = ObjectPrompt(box=Box(20, 10, 90, 70))
BOX_AND_CLICK = ObjectPrompt(include=((40, 30),), box=Box(20, 10, 90, 70))


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
def sam(tmp_path_factory: pytest.TempPathFactory) -> PromptableDetector:
    return SamDetector(tiny.save_sam(tmp_path_factory.mktemp("sam")), "cpu")


@cache
def library_model(folder: Path, name: str) -> tuple[Any, Any]:
    """Return the library's model and processor, loaded as its documentation does."""
    import transformers

    classes = {
        "sam-hq": ("SamHQModel", "SamHQProcessor"),
        "sam2": ("Sam2Model", "Sam2Processor"),
        "edgetam": ("EdgeTamModel", "Sam2Processor"),
        "sam3": ("Sam3TrackerModel", "Sam3TrackerProcessor"),
    }
    model, processor = (getattr(transformers, c).from_pretrained(folder) for c in classes[name])
    return model.eval(), processor


def library_masks(
    folder: Path, name: str, image: Image, prompt: ObjectPrompt, multimask: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return logits, scores and masks of one object by the library alone."""
    model, processor = library_model(folder, name)
    points = [*prompt.include, *prompt.exclude]
    labels = [1] * len(prompt.include) + [0] * len(prompt.exclude)
    inputs = processor(
        images=image,
        input_points=[[[list(p) for p in points]]] if points else None,
        input_labels=[[labels]] if points else None,
        input_boxes=[[[float(v) for v in prompt.box]]] if prompt.box else None,
        return_tensors="pt",
    )
    sizes = {k: inputs.pop(k) for k in ("original_sizes", "reshaped_input_sizes") if k in inputs}
    inputs = {k: v.float() if v.dtype == torch.float64 else v for k, v in inputs.items()}
    with torch.inference_mode():
        out = model(**inputs, multimask_output=multimask)
    post = processor.image_processor if name == "sam-hq" else processor
    masks = post.post_process_masks(out.pred_masks, *sizes.values())[0][0]
    return out.pred_masks[0, 0].numpy(), out.iou_scores[0, 0].numpy(), masks.numpy()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prompt", [CLICK, TWO_CLICKS, NEGATIVE_CLICK, BOX, BOX_AND_CLICK])
@pytest.mark.parametrize("multimask", [False, True])
def test_masks_are_those_of_transformers(
    folders: dict[str, Path],
    detectors: dict[str, PromptableDetector],
    name: str,
    prompt: ObjectPrompt,
    multimask: bool,
) -> None:
    """Number for number, from the photo to the mask at its size."""
    image = random_photo(75, 130)
    low_res, scores, masks = library_masks(folders[name], name, image, prompt, multimask)
    model, size = detectors[name].model, (75, 130)
    with torch.inference_mode():
        (embedding,) = model.embed([image])
        tensors = prompt_tensors(model, [PromptedObject(prompt)], size)
        got, got_scores = model.decode(embedding, tensors, multimask)
        full = model.resize_to_photo(got, size)[0]
    assert np.abs(low_res).max() > 0.1
    np.testing.assert_allclose(got[0], low_res, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got_scores[0], scores, atol=1e-6)
    assert np.array_equal((full > 0).numpy(), masks)


@pytest.mark.parametrize("name", NAMES)
def test_objects_decoded_together_get_the_masks_they_get_alone(
    detectors: dict[str, PromptableDetector], name: str
) -> None:
    """Also when each starts from a mask of its own."""
    model, size = detectors[name].model, (90, 140)
    objects = [PromptedObject(ObjectPrompt(box=Box(20, 10, 90 + i, 70))) for i in range(3)]

    def decode(objects: list[PromptedObject], start: torch.Tensor | None) -> torch.Tensor:
        logits, _ = model.decode(embedding, prompt_tensors(model, objects, size, start), False)
        return logits

    with torch.inference_mode():
        (embedding,) = model.embed([random_photo()])
        starts = decode(objects, None)
        together = decode(objects, starts)
        for i, prompted in enumerate(objects):
            alone = decode([prompted], starts[i : i + 1])
            np.testing.assert_allclose(together[i], alone[0], atol=1e-4)
    assert not np.allclose(together[0], together[1], atol=1e-4)
    assert not np.allclose(together, starts, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_photos_embedded_together_get_the_embeddings_they_get_alone(
    detectors: dict[str, PromptableDetector], name: str
) -> None:
    images = [random_photo(seed=1), random_photo(60, 50, seed=2)]
    model = detectors[name].model
    with torch.inference_mode():
        together = model.embed(images)
        for image, embedding in zip(images, together, strict=True):
            (alone,) = model.embed([image])
            for level, tensor in alone.items():
                np.testing.assert_allclose(embedding[level], tensor, atol=1e-4)


@pytest.mark.parametrize("name", [*NAMES, "sam"])
def test_an_encoder_in_half_precision_gives_float32_embeddings(
    detectors: dict[str, PromptableDetector], name: str
) -> None:
    """As on a GPU; the decoders run in float32, because SAM's fails in half precision."""
    model = OriginalSamModel(tiny.sam(), "cpu") if name == "sam" else detectors[name].model
    assert isinstance(model, OriginalSamModel | TransformersSamModel)
    assert model.dtype == torch.float32
    with torch.inference_mode():
        (single,) = model.embed([random_photo()])
        try:
            model.dtype = torch.bfloat16
            (half,) = model.embed([random_photo()])
        finally:
            model.dtype = torch.float32
    for level, tensor in single.items():
        assert half[level].dtype == torch.float32
        assert not torch.equal(half[level], tensor)
        assert (half[level] - tensor).abs().mean() < 0.1 * tensor.abs().mean()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [*NAMES, "sam"])
def test_photos_may_be_read_only_views(
    detectors: dict[str, PromptableDetector], sam: PromptableDetector, name: str
) -> None:
    detector = sam if name == "sam" else detectors[name]
    view = random_photo()[:, ::-1]
    view.setflags(write=False)
    got, expected = (detector.detect(p, [Box(20, 10, 90, 70)]) for p in (view, view.copy()))
    assert (got[0].mask == expected[0].mask).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_type_of_prompt_gives_a_mask(
    detectors: dict[str, PromptableDetector], name: str
) -> None:
    user_mask = np.zeros((90, 140), bool)
    user_mask[20:60, 30:90] = True
    image = random_photo()
    before = image.copy()
    for prompt in (Points(((40, 30),)), Box(20, 10, 90, 70), UserMask(user_mask)):
        (detection,) = detectors[name].detect(image, [prompt])
        assert detection.mask.shape == (90, 140)
        assert 0 <= detection.score <= 1
        assert detection.edge_uncertainty == 1.25 * 140 / 32
    assert (image == before).all()


# --- folders ----------------------------------------------------------------------------------


def test_the_image_part_of_video_models_is_used(folders: dict[str, Path], tmp_path: Path) -> None:
    """The config.json on the hub names the video class; its other tensors are ignored."""
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
        TransformersSamDetector(folder, "cpu").detect(random_photo(), [Box(20, 10, 90, 70)])
        for folder in (folders["sam2"], tmp_path)
    ]
    assert TransformersSamDetector(tmp_path, "cpu").name == "sam2"
    assert (masks[0][0].mask == masks[1][0].mask).all()


def test_folders_of_other_models_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="not a model of transformers"):
        TransformersSamDetector(tmp_path, "cpu")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(BadModel, match="holds a bert model, expected one of"):
        TransformersSamDetector(tmp_path, "cpu")
    (tmp_path / "config.json").write_text((folders["sam2"] / "config.json").read_text())
    with pytest.raises(BadModel, match="cannot be loaded as Sam2Model"):
        TransformersSamDetector(tmp_path, "cpu")


def test_missing_tensors_are_an_error(folders: dict[str, Path], tmp_path: Path) -> None:
    """transformers would fill them with random numbers and continue."""
    from safetensors.torch import load_file, save_file

    for file in folders["sam2"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("mask_decoder.iou_token.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadModel, match=r"1 tensors .* mask_decoder\.iou_token\.weight"):
        TransformersSamDetector(tmp_path, "cpu")


def test_edgetam_names_the_package_that_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    backbone = {"model_type": "timm_wrapper", "architecture": "repvit_m1"}
    config = {"model_type": "edgetam", "vision_config": {"backbone_config": backbone}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelMissing) as caught:
        detect.load(str(tmp_path), "cpu")
    assert str(caught.value) == (
        f"{tmp_path}: EdgeTAM needs more packages: pip install 'segment2inpaint[edgetam]'"
    )
