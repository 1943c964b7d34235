"""Tests of every family of diffusers that inpaints from a prompt.

The models are small and random, but of the real classes, text encoders and tokenizers included.
They are saved and loaded like real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import tiny_flows
import torch
from conftest import FakeDetector
from PIL import Image as Pillow

from segment2inpaint.errors import ModelMissing
from segment2inpaint.images import photo_from_array
from segment2inpaint.inpaint.diffusion.inpainter import DiffusionInpainter, call_settings
from segment2inpaint.models import catalogue
from segment2inpaint.pipeline import Pipeline
from segment2inpaint.protocols import Crop, InputSpec, RuntimeOptions
from segment2inpaint.types import Fill, Image, Length, Refine

FAMILIES: dict[str, tuple[str, Callable[[], Any]]] = {
    "sd": ("StableDiffusionInpaintPipeline", tiny.stable_diffusion),
    "sd-text": (
        "StableDiffusionInpaintPipeline",
        lambda: tiny.stable_diffusion(4, "StableDiffusionPipeline"),
    ),
    "sdxl": ("StableDiffusionXLInpaintPipeline", tiny.stable_diffusion_xl),
    "sd3": ("StableDiffusion3InpaintPipeline", tiny_flows.stable_diffusion_3),
    "flux": ("FluxInpaintPipeline", tiny_flows.flux),
    "flux-text": ("FluxInpaintPipeline", lambda: tiny_flows.flux("FluxPipeline")),
    "fill": ("FluxFillPipeline", lambda: tiny_flows.flux("FluxFillPipeline")),
    "kontext": ("FluxKontextInpaintPipeline", lambda: tiny_flows.flux("FluxKontextPipeline")),
    "klein": ("Flux2KleinInpaintPipeline", tiny_flows.flux_2_klein),
    "chroma": ("ChromaInpaintPipeline", tiny_flows.chroma),
    "z-image": ("ZImageInpaintPipeline", tiny_flows.z_image),
    "qwen": ("QwenImageInpaintPipeline", tiny_flows.qwen_image),
    "qwen-edit": (
        "QwenImageEditInpaintPipeline",
        lambda: tiny_flows.qwen_image("QwenImageEditPipeline"),
    ),
    "qwen-edit-plus": (
        "QwenImageEditInpaintPipeline",
        lambda: tiny_flows.qwen_image("QwenImageEditPlusPipeline"),
    ),
    "kandinsky": (
        "KandinskyV22InpaintCombinedPipeline",
        lambda: tiny_flows.kandinsky_2_2()[0],
    ),
}
FILL = Fill(prompt="a red rose", num_inference_steps=2, strength=1.0)

# The contract is tested for every family. The longer tests run on three of them in ``make test``,
# and on all of them in ``make test-all``.
CORE_FAMILIES = ("sd", "flux", "qwen-edit")
every_family = pytest.mark.parametrize("family", FAMILIES, indirect=True)
core_families = pytest.mark.parametrize(
    "family",
    [pytest.param(n, marks=() if n in CORE_FAMILIES else pytest.mark.slow) for n in FAMILIES],
    indirect=True,
)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Run torch on one thread, which is faster for networks this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def small_edits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make Qwen's editor paint 128 x 128 px; it paints a megapixel for any input."""
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_inpaint as editor

    dimensions = editor.calculate_dimensions
    monkeypatch.setattr(
        editor, "calculate_dimensions", lambda _, ratio: dimensions(128 * 128, ratio)
    )


@pytest.fixture(scope="module")
def family(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> DiffusionInpainter:
    pipeline, make = FAMILIES[request.param]
    try:
        pipe = make()
    except (ImportError, AttributeError) as error:
        pytest.skip(f"not in this version of diffusers: {error}")
    folder = tmp_path_factory.mktemp(request.param)
    pipe.save_pretrained(folder)
    inpainter = DiffusionInpainter(folder, "cpu", runtime=RuntimeOptions(batch_size=3))
    assert type(inpainter.pipe).__name__ == pipeline
    return inpainter


def make_crops(inpainter: DiffusionInpainter, *seeds: int) -> list[Crop]:
    """Return different pictures with different holes, of a size that the family takes."""
    height, width = (128, 64) if inpainter.input_spec.multiple == 64 else (64, 128)
    y, x = np.mgrid[:height, :width]
    crops = []
    for seed in seeds:
        image = np.stack([127 + 100 * np.sin(x / 9 + seed), 127 + 90 * np.cos(y / 7), x + y], -1)
        mask = np.zeros((height, width), bool)
        mask[height // 4 : height // 2, 16 : 32 + 8 * seed] = True
        crops.append(Crop(image.astype(np.uint8), mask, seed))
    return crops


def max_difference(a: list[Image], b: list[Image]) -> int:
    return max(int(abs(x.astype(int) - y).max()) for x, y in zip(a, b, strict=True))


@every_family
def test_a_fully_masked_crop_is_repainted_without_prefill(family: DiffusionInpainter) -> None:
    """Editors get such crops; also in a removal they must see the object."""
    crops = [replace(crop, mask=np.ones_like(crop.mask)) for crop in make_crops(family, 1)]
    fill = Fill(num_inference_steps=2, strength=0.9)
    [prefilled] = family.prefill_holes(crops, fill, family.resolve_fill(fill))
    assert (prefilled.image == crops[0].image).all()
    [result] = family.inpaint(crops, fill)
    assert result.shape == crops[0].image.shape
    kind = type(family.pipe).__name__
    assert family.input_spec.edits_by_instruction == any(
        word in kind for word in ("Kontext", "Edit", "Klein")
    )


@every_family
def test_the_result_has_the_size_of_the_crop_and_a_new_hole(family: DiffusionInpainter) -> None:
    shares: list[float] = []
    crops = make_crops(family, 1)
    [result] = family.inpaint(crops, FILL, lambda _, share: shares.append(share))
    assert result.shape == crops[0].image.shape
    assert result.dtype == np.uint8
    assert (result != crops[0].image)[crops[0].mask].any()
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) >= 3


@core_families
def test_equal_seeds_give_equal_results_and_others_do_not(
    family: DiffusionInpainter,
) -> None:
    [crop] = make_crops(family, 1)
    other_seed = replace(crop, seed=2)
    first, second, third = (family.inpaint([c], FILL)[0] for c in (crop, crop, other_seed))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)


@core_families
def test_batching_changes_results_only_by_rounding(family: DiffusionInpainter) -> None:
    """Families that cannot be batched get one crop a call, such as Kandinsky."""
    crops = make_crops(family, 1, 2, 3)
    batched = family.inpaint(crops, FILL)
    assert max_difference(batched, [family.inpaint([crop], FILL)[0] for crop in crops]) <= 1


@core_families
def test_pixels_outside_the_mask_of_a_photo_do_not_change(family: DiffusionInpainter) -> None:
    """The window is shifted, scaled and padded to the family's size."""
    mask = np.zeros((90, 150), np.bool_)
    mask[60:88, 20:52] = True
    photo = photo_from_array(
        np.random.default_rng(0).integers(0, 255, (90, 150, 3), dtype=np.uint8)
    )
    small = copy(family)
    small.input_spec = InputSpec(64 * 64, family.input_spec.multiple, family.input_spec.mask_cell)
    result = Pipeline(FakeDetector(mask), small, attempts=1)(photo, [], fill=FILL)
    assert result.changed_outside == 0
    assert (result.image != photo.image)[mask].any()
    assert result.settings["fill"]["prompt"] == "a red rose"
    assert result.settings["fill"]["num_inference_steps"] == 2


@every_family
def test_a_removal_uses_the_settings_of_the_card(family: DiffusionInpainter) -> None:
    settings = family.resolve_fill(Fill())
    kind = type(family.pipe).__name__
    usual = [c for c in catalogue.cards() if not c.removal and not catalogue.is_regular(c)]
    card = next(c for c in usual if c.kind == "inpainter" and c.pipeline == kind)
    assert settings["prompt"] == card.remove.prompt
    assert settings["num_inference_steps"] == card.fill.num_inference_steps
    quick = Fill(num_inference_steps=2)
    assert (
        family.inpaint(make_crops(family, 1), quick)[0].shape
        == make_crops(family, 1)[0].image.shape
    )


def test_qwen_edit_plus_reads_the_prompt_as_its_own_class_does(tmp_path: Path) -> None:
    """It is run in the inpainting class of the first Qwen-Image-Edit, which prompts otherwise."""
    own = tiny_flows.qwen_image("QwenImageEditPlusPipeline")
    own.save_pretrained(tmp_path)
    pipe = DiffusionInpainter(tmp_path, "cpu").pipe
    assert type(pipe).__name__ == "QwenImageEditInpaintPipeline"
    picture = Pillow.fromarray(make_photo((96, 160)))
    seen = own.image_processor.resize(picture, 288, 480)  # 384 x 384 pixels at the aspect of 3:5
    expected, _ = own.encode_prompt("a red rose", [seen])
    given, _ = pipe.encode_prompt(image=picture, prompt="a red rose")
    assert torch.equal(given, expected)


def make_photo(size: tuple[int, int]) -> Image:
    return np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)


# The families whose latents can be decoded for previews.
PREVIEWED = {"StableDiffusionInpaintPipeline", "StableDiffusionXLInpaintPipeline"}
PREVIEWED |= {"StableDiffusion3InpaintPipeline", "FluxInpaintPipeline", "FluxFillPipeline"}
PREVIEWED |= {"FluxKontextInpaintPipeline", "ChromaInpaintPipeline", "ZImageInpaintPipeline"}


@core_families
def test_previews_of_each_crop_are_given_after_each_step(
    family: DiffusionInpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They do not change the result. Some families' latents cannot be decoded for them."""
    previews: list[list[Image]] = []
    crops = make_crops(family, 1, 2)
    expected = family.inpaint(crops, FILL)
    monkeypatch.setattr(family, "on_preview", lambda images: previews.append(list(images)))
    assert max_difference(family.inpaint(crops, FILL), expected) == 0
    height, width = crops[0].mask.shape
    shapes = {image.shape for images in previews for image in images}
    if type(family.pipe).__name__ in PREVIEWED:
        assert [len(images) for images in previews] == [2, 2]
        assert shapes == {(height // 2, width // 2, 3)}
    else:
        assert shapes == set()


# The families whose pipeline has a padding_mask_crop that works. Some others lack it, some
# return the crop instead of the photo, and Klein pastes the crop back without resizing it.
CROPS_ITSELF = {"StableDiffusionInpaintPipeline", "StableDiffusionXLInpaintPipeline"}
CROPS_ITSELF |= {"StableDiffusion3InpaintPipeline", "FluxInpaintPipeline"}
CROPS_ITSELF |= {"QwenImageInpaintPipeline"}


@core_families
@pytest.mark.parametrize("padding", [0, 16, 24])
def test_padding_mask_crop_gives_the_pixels_of_the_pipelines_that_have_it(
    family: DiffusionInpainter, padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = family.pipe
    if type(pipe).__name__ not in CROPS_ITSELF:
        pytest.skip(f"{type(pipe).__name__} has none that works")
    input_spec = replace(family.input_spec, area=128 * 128)
    monkeypatch.setattr(family, "input_spec", input_spec)
    mask = np.zeros((128, 240), np.bool_)
    mask[48:80, 50:75] = True
    photo = photo_from_array(
        np.random.default_rng(0).integers(0, 255, (128, 240, 3), dtype=np.uint8)
    )
    fill = replace(FILL, padding_mask_crop=padding, seed=5)
    none = Length(0, "px")
    ours = Pipeline(FakeDetector(mask), family, attempts=1)(photo, [], Refine(none, none), fill)
    settings = call_settings(family.resolve_fill(fill), family.card.guidance)
    theirs = pipe(
        image=Pillow.fromarray(photo.image),
        mask_image=Pillow.fromarray(mask.astype(np.uint8) * 255),
        padding_mask_crop=padding,
        height=128,
        width=128,
        generator=torch.Generator("cpu").manual_seed(5),
        **settings,
    ).images[0]
    assert np.array_equal(ours.image, np.asarray(theirs))
    assert (ours.image != photo.image)[mask].any()


# --- single families ----------------------------------------------------------------------------


def test_a_prompt_is_encoded_once(tmp_path: Path) -> None:
    """The cache does not change the result by a single bit."""
    tiny.stable_diffusion().save_pretrained(tmp_path)
    inpainter = DiffusionInpainter(tmp_path, "cpu", runtime=RuntimeOptions(batch_size=3))
    calls: list[int] = []
    inpainter.pipe.text_encoder.register_forward_hook(lambda *_: calls.append(1))
    crops = make_crops(inpainter, 1, 2, 3)
    first = inpainter.inpaint(crops, FILL)
    calls_before = len(calls)
    assert max_difference(first, inpainter.inpaint(crops, FILL)) == 0
    assert len(calls) == calls_before
    inpainter.inpaint(crops, Fill(prompt="a dog", num_inference_steps=2))
    assert len(calls) > calls_before
    del inpainter.pipe.encode_prompt
    assert max_difference(first, inpainter.inpaint(crops, FILL)) == 0


def test_kandinsky_needs_its_prior(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its repository holds the decoder only; the prior has a card of its own."""
    decoder, prior = tiny_flows.kandinsky_2_2(whole=False)
    decoder.save_pretrained(tmp_path / "decoder")
    prior.save_pretrained(tmp_path / "models" / "kandinsky22-prior")
    with pytest.raises(ModelMissing, match="models download kandinsky22-prior"):
        DiffusionInpainter(tmp_path / "decoder", "cpu")
    monkeypatch.setattr(catalogue, "models_folder", lambda: tmp_path / "models")
    inpainter = DiffusionInpainter(tmp_path / "decoder", "cpu")
    assert inpainter.inpaint(make_crops(inpainter, 1), FILL)[0].shape == (128, 64, 3)


def test_guidance_reaches_qwen_image_under_its_own_name(tmp_path: Path) -> None:
    tiny_flows.qwen_image().save_pretrained(tmp_path)
    inpainter = DiffusionInpainter(tmp_path, "cpu")
    assert inpainter.resolve_fill(FILL)["guidance_scale"] == 4.0

    def paint(scale: float) -> Image:
        fill = Fill(prompt="x", num_inference_steps=2, guidance_scale=scale)
        return inpainter.inpaint(make_crops(inpainter, 1), fill)[0]

    assert not np.array_equal(paint(1.0), paint(6.0))
