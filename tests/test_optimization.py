"""Offload, attention, quantization, compilation: what is asked for, and what is refused."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
import tiny
import tiny_files
import tiny_flows
import torch
from torch._inductor.exc import InductorError, InvalidCxxCompiler

from segment2inpaint.errors import BadOption
from segment2inpaint.inpaint.diffusion import optimization as fast
from segment2inpaint.inpaint.diffusion.attention import working_backends
from segment2inpaint.inpaint.diffusion.inpainter import DiffusionInpainter
from segment2inpaint.protocols import Crop, RuntimeOptions
from segment2inpaint.types import Fill

FILL = Fill(prompt="a red rose", num_inference_steps=2)


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flow")
    tiny_flows.flux("FluxFillPipeline").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def crop() -> Crop:
    bits = np.zeros((64, 64), np.bool_)
    bits[16:40, 16:40] = True
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return Crop(pixels, bits, 3)


@pytest.mark.parametrize(
    ("sizes", "free", "expected"),
    [([5, 2], 10, "none"), ([6, 5], 10, "model"), ([8, 1], 10, "group")],
)
def test_offload_goes_by_what_fits(sizes: list[int], free: int, expected: str) -> None:
    """A part of the memory is left for what the networks compute."""
    assert fast.fitting_offload(sizes, free) == expected


def test_layers_offloaded_paint_the_same(flow: Path, crop: Crop) -> None:
    """With the CPU in the GPU's place: hooks and all, but for the speed."""
    plain = DiffusionInpainter(flow, "cpu")
    expected = plain.inpaint([crop], FILL)[0]
    plain.pipe.enable_group_offload(torch.device("cpu"), offload_type="leaf_level")
    assert np.array_equal(plain.inpaint([crop], FILL)[0], expected)


@pytest.mark.parametrize("how", ["model", "group"])
def test_nothing_is_offloaded_from_a_cpu(flow: Path, how: str) -> None:
    with pytest.raises(BadOption, match=f"--offload {how} keeps weights off a GPU"):
        DiffusionInpainter(flow, "cpu", runtime=RuntimeOptions(offload=how))


def test_words_that_are_not_known(flow: Path) -> None:
    with pytest.raises(BadOption, match="offload must be auto, none, model, group"):
        DiffusionInpainter(flow, "cpu", runtime=RuntimeOptions(offload="disk"))
    with pytest.raises(BadOption, match="quantize must be 8bit or 4bit"):
        DiffusionInpainter(flow, "cpu", runtime=RuntimeOptions(quantize="2bit"))


def test_attention_of_diffusers(flow: Path, crop: Crop, tmp_path: Path) -> None:
    plain = DiffusionInpainter(flow, "cpu").inpaint([crop], FILL)[0]
    native = DiffusionInpainter(flow, "cpu", runtime=RuntimeOptions(attention="native"))
    assert np.array_equal(native.inpaint([crop], FILL)[0], plain)
    tiny.stable_diffusion().save_pretrained(tmp_path)
    with pytest.raises(BadOption, match="no effect on UNet2DConditionModel"):
        DiffusionInpainter(tmp_path, "cpu", runtime=RuntimeOptions(attention="native"))


@pytest.mark.parametrize(
    ("name", "package"),
    [("nonsense", ""), ("flash", "flash_attn"), ("sage", "sageattention"), ("_native_cudnn", "")],
)
def test_an_unavailable_attention_backend_is_refused(flow: Path, name: str, package: str) -> None:
    """Unknown, not installed or unfit for this device: refused with the backends that work."""
    if package and find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(BadOption) as caught:
        DiffusionInpainter(flow, "cpu", runtime=RuntimeOptions(attention=name))
    text = str(caught.value)
    assert text.startswith(f"--attention {name} is unavailable: ")
    assert "; available: " in text
    assert "native" in text.split("; available: ")[1].split(", ")
    assert "\n" not in text


def test_attention_of_one_model_is_not_that_of_the_next(flow: Path, crop: Crop) -> None:
    """diffusers sets it for all networks at once."""
    plain = DiffusionInpainter(flow, "cpu")
    seen: list[Any] = []
    attention = torch.nn.functional.scaled_dot_product_attention

    def spied(*args: Any, **more: Any) -> torch.Tensor:
        seen.append(
            [torch.backends.cuda.math_sdp_enabled(), torch.backends.cuda.flash_sdp_enabled()]
        )
        return attention(*args, **more)

    DiffusionInpainter(flow, "cpu", runtime=RuntimeOptions(attention="_native_math"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "scaled_dot_product_attention", spied)
        plain.inpaint([crop], FILL)
    assert seen
    assert all(both == [True, True] for both in seen)


def test_those_that_work_are_known() -> None:
    here = working_backends("cpu")
    assert "native" in here
    assert not any(name.endswith("_hub") for name in here)
    assert "_native_cudnn" not in here


@pytest.mark.skipif(find_spec("torchao") is None, reason="torchao is not installed")
def test_weights_in_eight_bits(flow: Path, crop: Crop) -> None:
    """Nearly the same picture, from weights a quarter as large."""
    plain = DiffusionInpainter(flow, "cpu").inpaint([crop], FILL)[0]
    small = DiffusionInpainter(flow, "cpu", runtime=RuntimeOptions(quantize="8bit"))
    weight = small.pipe.transformer.transformer_blocks[0].attn.to_q.weight
    assert "Int8" in type(weight).__name__
    assert abs(small.inpaint([crop], FILL)[0].astype(int) - plain).mean() < 3


@pytest.mark.skipif(find_spec("torchao") is None, reason="torchao is not installed")
def test_a_file_in_eight_bits(flow: Path, crop: Crop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its network, and the text encoders that are lent; the rest of the file as it is."""
    tiny_files.set_network_width(monkeypatch, "FluxTransformer2DModel")
    plain = DiffusionInpainter(flow, "cpu")
    file = flow.parent / "any.safetensors"
    tiny_files.save_single_file(plain.pipe, file, ["transformer", "vae"])
    small = DiffusionInpainter(file, "cpu", runtime=RuntimeOptions(quantize="8bit"), base=str(flow))
    weight = small.pipe.transformer.transformer_blocks[0].attn.to_q.weight
    assert "Int8" in type(weight).__name__
    expected = DiffusionInpainter(flow, "cpu", runtime=RuntimeOptions(quantize="8bit")).inpaint(
        [crop], FILL
    )[0]
    assert abs(small.inpaint([crop], FILL)[0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("installed", "able"),
    [
        ([], {}),
        (["torchao"], {"8bit": "torchao"}),
        (["torchao", "mslk"], {"8bit": "torchao", "4bit": "torchao"}),
        (["bitsandbytes"], {"8bit": "bitsandbytes", "4bit": "bitsandbytes"}),
        (["torchao", "bitsandbytes"], {"8bit": "torchao", "4bit": "bitsandbytes"}),
    ],
)
def test_quantization_goes_by_what_is_installed(
    flow: Path, installed: list[str], able: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast, "find_spec", lambda name: name in installed or None)
    assert fast.installed_quantizers() == able
    for bits, needs in fast.QUANTIZATION_PACKAGES.items():
        if bits not in able:
            with pytest.raises(BadOption, match=f"--quantize {bits} needs {needs}"):
                DiffusionInpainter(flow, "cpu", runtime=RuntimeOptions(quantize=bits))


def test_blocks_are_compiled(flow: Path, tmp_path: Path) -> None:
    """Marked for it; that is done at the first call, and takes a compiler."""
    made = DiffusionInpainter(flow, "cpu", runtime=RuntimeOptions(compile=True))
    blocks = made.pipe.transformer.transformer_blocks
    assert all(block._compiled_call_impl is not None for block in blocks)
    tiny_flows.stable_diffusion_3().save_pretrained(tmp_path)
    whole = DiffusionInpainter(tmp_path, "cpu", runtime=RuntimeOptions(compile=True))
    assert whole.pipe.transformer._compiled_call_impl is not None


@pytest.mark.slow
@pytest.mark.skipif(which("g++") is None, reason="no C++ compiler")
def test_a_compiled_model_paints_the_same(crop: Crop, tmp_path: Path) -> None:
    tiny.stable_diffusion().save_pretrained(tmp_path)
    plain = DiffusionInpainter(tmp_path, "cpu").inpaint([crop], FILL)[0]
    compiled = DiffusionInpainter(tmp_path, "cpu", runtime=RuntimeOptions(compile=True))
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert abs(compiled.inpaint([crop], FILL)[0].astype(int) - plain).max() <= 1
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > before


def test_a_machine_without_a_compiler(flow: Path, crop: Crop) -> None:
    """torch finds out at the first call."""
    made = DiffusionInpainter(flow, "cpu", runtime=RuntimeOptions(compile=True))

    def fail(*_: Any) -> None:
        raise InductorError(InvalidCxxCompiler(), None)

    made.pipe.transformer.register_forward_pre_hook(fail)
    with pytest.raises(BadOption, match=r"--compile is unavailable: .*No working C\+\+ comp"):
        made.inpaint([crop], FILL)


def test_batch_by_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from segment2inpaint.inpaint.diffusion import inpainter
    from segment2inpaint.protocols import InputSpec

    input_spec = InputSpec(area=1024 * 1024, multiple=8, mask_cell=8)
    for free, expected in [(1e9, 1), (20e9, 4), (2e11, inpainter.MAX_BATCH_SIZE)]:
        monkeypatch.setattr(inpainter, "free_memory", lambda _, free=free: int(free))
        assert inpainter.fitting_batch_size(input_spec, torch.float16, "cuda:0") == expected
    assert inpainter.fitting_batch_size(input_spec, torch.float32, "cpu") == 1


def test_first_block_cache(flow: Path, crop: Crop, tmp_path: Path) -> None:
    """Fewer blocks are computed, and one picture leaves nothing behind for the next."""
    tiny_flows.qwen_image().save_pretrained(tmp_path)
    fill = Fill(prompt="a red rose", num_inference_steps=6)
    counts, pictures = [], []
    for share in (None, 1.0):
        made = DiffusionInpainter(tmp_path, "cpu", runtime=RuntimeOptions(block_cache=share))
        calls: list[int] = []
        last = made.pipe.transformer.transformer_blocks[-1].attn
        last.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        pictures.append(made.inpaint([crop], fill)[0])
        counts.append(len(calls))
        assert np.array_equal(made.inpaint([crop], fill)[0], pictures[-1])
    assert 0 < counts[1] < counts[0]
    with pytest.raises(BadOption, match="--block-cache has no effect on FluxFillPipeline"):
        DiffusionInpainter(flow, "cpu", runtime=RuntimeOptions(block_cache=0.1))


def test_a_file_is_quantized_by_torchao_only() -> None:
    with pytest.raises(BadOption, match="needs torchao; or name its folder"):
        fast.quantize_network(
            torch.nn.Linear(2, 2), fast._bitsandbytes_config("8bit", torch.float32, "diffusers")
        )
