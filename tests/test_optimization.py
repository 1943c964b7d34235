"""Tests of offloading, attention backends, quantization, compilation and their errors."""

from __future__ import annotations

import re
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
from segment2inpaint.inpaint.diffusion import inpainter as inpainter_module
from segment2inpaint.inpaint.diffusion import optimization
from segment2inpaint.inpaint.diffusion.attention import working_backends
from segment2inpaint.inpaint.diffusion.inpainter import (
    MAX_BATCH_SIZE,
    DiffusionInpainter,
    fitting_batch_size,
)
from segment2inpaint.protocols import Crop, InputSpec, RuntimeOptions
from segment2inpaint.types import Fill

FILL = Fill(prompt="a red rose", num_inference_steps=2)


@pytest.fixture(scope="module")
def flux_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flow")
    tiny_flows.flux("FluxFillPipeline").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def crop() -> Crop:
    mask = np.zeros((64, 64), np.bool_)
    mask[16:40, 16:40] = True
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return Crop(pixels, mask, 3)


@pytest.mark.parametrize(
    ("sizes", "free", "expected"),
    [([5, 2], 10, "none"), ([6, 5], 10, "model"), ([8, 1], 10, "group")],
)
def test_auto_offload_depends_on_the_memory_that_the_networks_need(
    sizes: list[int], free: int, expected: str
) -> None:
    """A part of the memory is reserved for activations."""
    assert optimization.fitting_offload(sizes, free) == expected


def test_offloaded_layers_paint_the_same(flux_folder: Path, crop: Crop) -> None:
    """The CPU takes the GPU's place, which runs the same hooks."""
    plain = DiffusionInpainter(flux_folder, "cpu")
    expected = plain.inpaint([crop], FILL)[0]
    plain.pipe.enable_group_offload(torch.device("cpu"), offload_type="leaf_level")
    assert np.array_equal(plain.inpaint([crop], FILL)[0], expected)


@pytest.mark.parametrize("mode", ["model", "group"])
def test_offloading_on_a_cpu_is_refused(flux_folder: Path, mode: str) -> None:
    with pytest.raises(BadOption, match=f"--offload {mode} keeps weights off a GPU"):
        DiffusionInpainter(flux_folder, "cpu", runtime=RuntimeOptions(offload=mode))


def test_unknown_option_values_are_refused(flux_folder: Path) -> None:
    with pytest.raises(BadOption, match="offload must be auto, none, model, group"):
        DiffusionInpainter(flux_folder, "cpu", runtime=RuntimeOptions(offload="disk"))
    with pytest.raises(BadOption, match="quantize must be 8bit or 4bit"):
        DiffusionInpainter(flux_folder, "cpu", runtime=RuntimeOptions(quantize="2bit"))


def test_the_native_attention_backend_paints_the_same(
    flux_folder: Path, crop: Crop, tmp_path: Path
) -> None:
    plain = DiffusionInpainter(flux_folder, "cpu").inpaint([crop], FILL)[0]
    native = DiffusionInpainter(flux_folder, "cpu", runtime=RuntimeOptions(attention="native"))
    assert np.array_equal(native.inpaint([crop], FILL)[0], plain)
    tiny.stable_diffusion().save_pretrained(tmp_path)
    with pytest.raises(BadOption, match="no effect on UNet2DConditionModel"):
        DiffusionInpainter(tmp_path, "cpu", runtime=RuntimeOptions(attention="native"))


@pytest.mark.parametrize(
    ("name", "package"),
    [("nonsense", ""), ("flash", "flash_attn"), ("sage", "sageattention"), ("_native_cudnn", "")],
)
def test_an_unavailable_attention_backend_is_refused(
    flux_folder: Path, name: str, package: str
) -> None:
    """Unknown, not installed or unfit for this device: refused with the backends that work."""
    if package and find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(BadOption) as caught:
        DiffusionInpainter(flux_folder, "cpu", runtime=RuntimeOptions(attention=name))
    text = str(caught.value)
    assert text.startswith(f"--attention {name} is unavailable: ")
    assert "; available: " in text
    assert "native" in text.split("; available: ")[1].split(", ")
    assert "\n" not in text


def test_an_attention_backend_does_not_affect_other_models(flux_folder: Path, crop: Crop) -> None:
    """diffusers changes the default of all networks with it."""
    plain = DiffusionInpainter(flux_folder, "cpu")
    enabled: list[Any] = []
    attention = torch.nn.functional.scaled_dot_product_attention

    def record(*args: Any, **kwargs: Any) -> torch.Tensor:
        enabled.append(
            [torch.backends.cuda.math_sdp_enabled(), torch.backends.cuda.flash_sdp_enabled()]
        )
        return attention(*args, **kwargs)

    DiffusionInpainter(flux_folder, "cpu", runtime=RuntimeOptions(attention="_native_math"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "scaled_dot_product_attention", record)
        plain.inpaint([crop], FILL)
    assert enabled
    assert all(flags == [True, True] for flags in enabled)


def test_working_backends_are_listed() -> None:
    backends = working_backends("cpu")
    assert "native" in backends
    assert not any(name.endswith("_hub") for name in backends)
    assert "_native_cudnn" not in backends


@pytest.mark.skipif(find_spec("torchao") is None, reason="torchao is not installed")
def test_eight_bit_weights_give_nearly_the_same_result(flux_folder: Path, crop: Crop) -> None:
    """The weights take a quarter of the memory."""
    plain = DiffusionInpainter(flux_folder, "cpu").inpaint([crop], FILL)[0]
    quantized = DiffusionInpainter(flux_folder, "cpu", runtime=RuntimeOptions(quantize="8bit"))
    weight = quantized.pipe.transformer.transformer_blocks[0].attn.to_q.weight
    assert "Int8" in type(weight).__name__
    assert abs(quantized.inpaint([crop], FILL)[0].astype(int) - plain).mean() < 3


@pytest.mark.skipif(find_spec("torchao") is None, reason="torchao is not installed")
def test_a_single_file_is_quantized_like_its_folder(
    flux_folder: Path, crop: Crop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This concerns its network and the text encoders of the base model."""
    tiny_files.set_network_width(monkeypatch, "FluxTransformer2DModel")
    plain = DiffusionInpainter(flux_folder, "cpu")
    file = flux_folder.parent / "any.safetensors"
    tiny_files.save_single_file(plain.pipe, file, ["transformer", "vae"])
    quantized = DiffusionInpainter(
        file, "cpu", runtime=RuntimeOptions(quantize="8bit"), base=str(flux_folder)
    )
    weight = quantized.pipe.transformer.transformer_blocks[0].attn.to_q.weight
    assert "Int8" in type(weight).__name__
    expected = DiffusionInpainter(
        flux_folder, "cpu", runtime=RuntimeOptions(quantize="8bit")
    ).inpaint([crop], FILL)[0]
    assert abs(quantized.inpaint([crop], FILL)[0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        ([], {}),
        (["torchao"], {"8bit": "torchao"}),
        (["torchao", "mslk"], {"8bit": "torchao", "4bit": "torchao"}),
        (["bitsandbytes"], {"8bit": "bitsandbytes", "4bit": "bitsandbytes"}),
        (["torchao", "bitsandbytes"], {"8bit": "torchao", "4bit": "bitsandbytes"}),
    ],
)
def test_the_quantizer_depends_on_the_installed_packages(
    flux_folder: Path,
    installed: list[str],
    expected: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(optimization, "find_spec", lambda name: name in installed or None)
    assert optimization.installed_quantizers() == expected
    for bits, needs in optimization.QUANTIZATION_PACKAGES.items():
        if bits not in expected:
            with pytest.raises(BadOption, match=re.escape(f"--quantize {bits} needs {needs}")):
                DiffusionInpainter(flux_folder, "cpu", runtime=RuntimeOptions(quantize=bits))


def test_repeated_blocks_or_the_whole_network_are_marked_for_compilation(
    flux_folder: Path, tmp_path: Path
) -> None:
    """They are compiled at the first call, which needs a compiler."""
    compiled = DiffusionInpainter(flux_folder, "cpu", runtime=RuntimeOptions(compile=True))
    blocks = compiled.pipe.transformer.transformer_blocks
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


def test_a_missing_compiler_is_reported(flux_folder: Path, crop: Crop) -> None:
    """torch notices it at the first call."""
    compiled = DiffusionInpainter(flux_folder, "cpu", runtime=RuntimeOptions(compile=True))

    def fail(*_: Any) -> None:
        raise InductorError(InvalidCxxCompiler(), None)

    compiled.pipe.transformer.register_forward_pre_hook(fail)
    with pytest.raises(BadOption, match=r"--compile is unavailable: .*No working C\+\+ comp"):
        compiled.inpaint([crop], FILL)


def test_the_batch_size_depends_on_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    input_spec = InputSpec(area=1024 * 1024, multiple=8, mask_cell=8)
    for free, expected in [(1e9, 1), (20e9, 4), (2e11, MAX_BATCH_SIZE)]:
        monkeypatch.setattr(inpainter_module, "free_memory", lambda _, free=free: int(free))
        assert fitting_batch_size(input_spec, torch.float16, "cuda:0") == expected
    assert fitting_batch_size(input_spec, torch.float32, "cpu") == 1


def test_the_block_cache_skips_blocks(flux_folder: Path, crop: Crop, tmp_path: Path) -> None:
    """It is reset between calls."""
    tiny_flows.qwen_image().save_pretrained(tmp_path)
    fill = Fill(prompt="a red rose", num_inference_steps=6)
    counts, results = [], []
    for threshold in (None, 1.0):
        inpainter = DiffusionInpainter(
            tmp_path, "cpu", runtime=RuntimeOptions(block_cache=threshold)
        )
        calls: list[int] = []
        last = inpainter.pipe.transformer.transformer_blocks[-1].attn
        last.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        results.append(inpainter.inpaint([crop], fill)[0])
        counts.append(len(calls))
        assert np.array_equal(inpainter.inpaint([crop], fill)[0], results[-1])
    assert 0 < counts[1] < counts[0]
    with pytest.raises(BadOption, match="--block-cache has no effect on FluxFillPipeline"):
        DiffusionInpainter(flux_folder, "cpu", runtime=RuntimeOptions(block_cache=0.1))


def test_a_single_file_needs_torchao_to_be_quantized() -> None:
    import diffusers

    config = diffusers.BitsAndBytesConfig(load_in_8bit=True)
    with pytest.raises(BadOption, match="needs torchao; or name its folder"):
        optimization.quantize_network(torch.nn.Linear(2, 2), config)
