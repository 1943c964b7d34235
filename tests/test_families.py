"""Every family of diffusers that inpaints from a prompt: small ones, saved and loaded as real ones.

Text encoders and tokenizers are of the real classes too; only the weights are few, and random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from segment2inpaint.protocols import Crop, RuntimeOptions
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
    "kandinsky": (
        "KandinskyV22InpaintCombinedPipeline",
        lambda: tiny_flows.kandinsky_2_2()[0],
    ),
}
FILL = Fill(prompt="a red rose", num_inference_steps=2, strength=1.0)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks this small lose more by sharing work than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def small_edits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Qwen's editor paints a megapixel, whatever it is given; here 128 x 128."""
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_inpaint as editor

    of = editor.calculate_dimensions
    monkeypatch.setattr(editor, "calculate_dimensions", lambda _, ratio: of(128 * 128, ratio))


@pytest.fixture(scope="module", params=FAMILIES)
def family(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> DiffusionInpainter:
    pipeline, make = FAMILIES[request.param]
    try:
        pipe = make()
    except (ImportError, AttributeError) as lacking:
        pytest.skip(f"not in this version of diffusers: {lacking}")
    folder = tmp_path_factory.mktemp(request.param)
    pipe.save_pretrained(folder)
    loaded = DiffusionInpainter(folder, "cpu", runtime=RuntimeOptions(batch_size=3))
    assert type(loaded.pipe).__name__ == pipeline
    return loaded


def crops(loaded: DiffusionInpainter, *seeds: int) -> list[Crop]:
    """Different pictures with different holes, of a size that the family takes."""
    height, width = (128, 64) if loaded.input_spec.multiple == 64 else (64, 128)
    y, x = np.mgrid[:height, :width]
    made = []
    for seed in seeds:
        image = np.stack([127 + 100 * np.sin(x / 9 + seed), 127 + 90 * np.cos(y / 7), x + y], -1)
        bits = np.zeros((height, width), bool)
        bits[height // 4 : height // 2, 16 : 32 + 8 * seed] = True
        made.append(Crop(image.astype(np.uint8), bits, seed))
    return made


def apart(a: list[Image], b: list[Image]) -> int:
    return max(int(abs(x.astype(int) - y).max()) for x, y in zip(a, b, strict=True))


def test_a_whole_crop_may_be_given(family: DiffusionInpainter) -> None:
    """As to an editor: in a removal too it sees the object, no guess in its place."""
    asked = [replace(crop, mask=np.ones_like(crop.mask)) for crop in crops(family, 1)]
    fill = Fill(num_inference_steps=2, strength=0.9)
    [seen] = family.prefill_holes(asked, fill, family.resolve_fill(fill))
    assert (seen.image == asked[0].image).all()
    [painted] = family.inpaint(asked, fill)
    assert painted.shape == asked[0].image.shape
    kind = type(family.pipe).__name__
    assert family.input_spec.edits_by_instruction == any(
        word in kind for word in ("Kontext", "Edit", "Klein")
    )


def test_a_crop_comes_back_repainted_in_its_size(family: DiffusionInpainter) -> None:
    told: list[float] = []
    asked = crops(family, 1)
    [painted] = family.inpaint(asked, FILL, lambda _, share: told.append(share))
    assert painted.shape == asked[0].image.shape
    assert painted.dtype == np.uint8
    assert (painted != asked[0].image)[asked[0].mask].any()
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) >= 3


def test_the_same_seed_gives_the_same_picture_and_another_another(
    family: DiffusionInpainter,
) -> None:
    [one] = crops(family, 1)
    other = Crop(one.image, one.mask, 2)
    first, again, else_ = (family.inpaint([c], FILL)[0] for c in (one, one, other))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, else_)


def test_a_batch_gives_what_each_crop_alone_gives(family: DiffusionInpainter) -> None:
    """But for rounding: diffusers repaints only the first of a Kandinsky's batch, say."""
    wanted = crops(family, 1, 2, 3)
    together = family.inpaint(wanted, FILL)
    assert apart(together, [family.inpaint([crop], FILL)[0] for crop in wanted]) <= 1


def test_nothing_changes_outside(family: DiffusionInpainter) -> None:
    """In a photo, with a window that is shifted, scaled and padded to the family's liking."""
    bits = np.zeros((90, 150), np.bool_)
    bits[60:88, 20:52] = True
    photo = photo_from_array(
        np.random.default_rng(0).integers(0, 255, (90, 150, 3), dtype=np.uint8)
    )
    small = DiffusionInpainter.__new__(DiffusionInpainter)
    small.__dict__.update(family.__dict__)
    small.input_spec = type(family.input_spec)(
        64 * 64, family.input_spec.multiple, family.input_spec.mask_cell
    )
    result = Pipeline(FakeDetector(bits), small, attempts=1)(photo, [], fill=FILL)
    assert result.changed_outside == 0
    assert (result.image != photo.image)[bits].any()
    assert result.settings["fill"]["prompt"] == "a red rose"
    assert result.settings["fill"]["num_inference_steps"] == 2


def test_a_removal_runs_with_the_cards_settings(family: DiffusionInpainter) -> None:
    settled = family.resolve_fill(Fill())
    kind = type(family.pipe).__name__
    mine = [c for c in catalogue.cards() if c.kind == "inpainter" and c.pipeline == kind]
    assert settled["prompt"] == mine[0].remove.prompt
    assert settled["num_inference_steps"] == mine[0].fill.num_inference_steps
    quick = Fill(num_inference_steps=2)
    assert family.inpaint(crops(family, 1), quick)[0].shape == crops(family, 1)[0].image.shape


SHOWN = {"StableDiffusionInpaintPipeline", "StableDiffusionXLInpaintPipeline"}
SHOWN |= {"StableDiffusion3InpaintPipeline", "FluxInpaintPipeline", "FluxFillPipeline"}
SHOWN |= {"FluxKontextInpaintPipeline", "ChromaInpaintPipeline", "ZImageInpaintPipeline"}


def test_the_work_can_be_watched(
    family: DiffusionInpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sketch of each crop after each step, where the family's latents can be shown; the
    result is the same."""
    seen: list[list[Image]] = []
    wanted = crops(family, 1, 2)
    plain = family.inpaint(wanted, FILL)
    monkeypatch.setattr(family, "on_preview", lambda sketches: seen.append(list(sketches)))
    assert apart(family.inpaint(wanted, FILL), plain) == 0
    height, width = wanted[0].mask.shape
    shapes = {sketch.shape for one in seen for sketch in one}
    if type(family.pipe).__name__ in SHOWN:
        assert [len(one) for one in seen] == [2, 2]
        assert shapes == {(height // 2, width // 2, 3)}
    else:
        assert shapes == set()


CROPS_ITSELF = {"StableDiffusionInpaintPipeline", "StableDiffusionXLInpaintPipeline"}
CROPS_ITSELF |= {"StableDiffusion3InpaintPipeline", "FluxInpaintPipeline"}
CROPS_ITSELF |= {"QwenImageInpaintPipeline"}


@pytest.mark.parametrize("padding", [0, 16, 24])
def test_padding_mask_crop_is_that_of_the_pipelines_that_have_it(
    family: DiffusionInpainter, padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixel by pixel. Of the others some lack it, some give the crop instead of the photo, and
    Klein pastes the middle of it back without making it small again.
    """
    pipe = family.pipe
    if type(pipe).__name__ not in CROPS_ITSELF:
        pytest.skip(f"{type(pipe).__name__} has none that works; ours is tested above")
    input_spec = replace(family.input_spec, area=128 * 128)
    monkeypatch.setattr(family, "input_spec", input_spec)
    bits = np.zeros((128, 240), np.bool_)
    bits[48:80, 50:75] = True
    photo = photo_from_array(
        np.random.default_rng(0).integers(0, 255, (128, 240, 3), dtype=np.uint8)
    )
    fill = replace(FILL, padding_mask_crop=padding, seed=5)
    none = Length(0, "px")
    ours = Pipeline(FakeDetector(bits), family, attempts=1)(photo, [], Refine(none, none), fill)
    theirs = pipe(
        prompt="a red rose",
        image=Pillow.fromarray(photo.image),
        mask_image=Pillow.fromarray(bits.astype(np.uint8) * 255),
        padding_mask_crop=padding,
        height=128,
        width=128,
        generator=torch.Generator("cpu").manual_seed(5),
        **{
            k: v
            for k, v in call_settings(family.resolve_fill(fill), family.card.guidance).items()
            if k != "prompt"
        },
    ).images[0]
    assert np.array_equal(ours.image, np.asarray(theirs))
    assert (ours.image != photo.image)[bits].any()


# --- one by one ---------------------------------------------------------------------------------


def test_a_prompt_is_read_once(tmp_path: Path) -> None:
    """And gives what reading it every time gives, bit for bit."""
    tiny.stable_diffusion().save_pretrained(tmp_path)
    loaded = DiffusionInpainter(tmp_path, "cpu", runtime=RuntimeOptions(batch_size=3))
    calls: list[int] = []
    loaded.pipe.text_encoder.register_forward_hook(lambda *_: calls.append(1))
    wanted = crops(loaded, 1, 2, 3)
    first = loaded.inpaint(wanted, FILL)
    read = len(calls)
    assert apart(first, loaded.inpaint(wanted, FILL)) == 0
    assert len(calls) == read
    loaded.inpaint(wanted, Fill(prompt="a dog", num_inference_steps=2))
    assert len(calls) > read
    del loaded.pipe.encode_prompt
    assert apart(first, loaded.inpaint(wanted, FILL)) == 0


def test_a_kandinsky_without_its_prior(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its repository has but the half that paints; the other is a card of its own."""
    decoder, prior = tiny_flows.kandinsky_2_2(whole=False)
    decoder.save_pretrained(tmp_path / "decoder")
    prior.save_pretrained(tmp_path / "models" / "kandinsky22-prior")
    with pytest.raises(ModelMissing, match="models download kandinsky22-prior"):
        DiffusionInpainter(tmp_path / "decoder", "cpu")
    monkeypatch.setattr(catalogue, "models_folder", lambda: tmp_path / "models")
    loaded = DiffusionInpainter(tmp_path / "decoder", "cpu")
    assert loaded.inpaint(crops(loaded, 1), FILL)[0].shape == (128, 64, 3)


def test_true_guidance_by_the_name_that_the_family_has_for_it(tmp_path: Path) -> None:
    tiny_flows.qwen_image().save_pretrained(tmp_path)
    loaded = DiffusionInpainter(tmp_path, "cpu")
    assert loaded.resolve_fill(FILL)["guidance_scale"] == 4.0

    def of(scale: float) -> Image:
        fill = Fill(prompt="x", num_inference_steps=2, guidance_scale=scale)
        return loaded.inpaint(crops(loaded, 1), fill)[0]

    assert not np.array_equal(of(1.0), of(6.0))
