"""Tests of MI-GAN: the network against the published sizes, and small random networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from safetensors.torch import save_file
from torch.nn import functional

from segment2inpaint import inpaint
from segment2inpaint.errors import BadModel, ModelMissing
from segment2inpaint.inpaint.migan.inpainter import MiganInpainter, load_network
from segment2inpaint.inpaint.migan.network import (
    Generator,
    MiganConfig,
    downsample,
    infer_config,
    upsample,
)
from segment2inpaint.models import catalogue
from segment2inpaint.protocols import Crop, RuntimeOptions
from segment2inpaint.types import Fill

SMALL = MiganConfig(resolution=16, channel_base=128, channel_max=16)
BINOMIAL = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    network = Generator(SMALL).eval()
    for name, parameter in network.named_parameters():
        if name.endswith("noise_strength"):
            torch.nn.init.uniform_(parameter, 0.1, 0.5)
    return network


def published_weights(network: Generator) -> dict[str, torch.Tensor]:
    """Return the weights with the constant filters that checkpoints hold too."""
    weights = dict(network.state_dict())
    for resolution in SMALL.resolutions[1:]:
        channels = SMALL.channels(resolution)
        block = f"synthesis.b{resolution}"
        weights[f"{block}.upsample.filter.weight"] = 4 * BINOMIAL.repeat(3, 1, 1, 1)
        weights[f"{block}.conv1.upsample.filter.weight"] = 4 * BINOMIAL.repeat(channels, 1, 1, 1)
        weights[f"{block}.upsample.filter_const"] = torch.ones(1, 1, resolution, resolution)
        weights[f"{block}.conv1.upsample.insert_zeros.weight"] = torch.ones(channels, 1, 2, 2)
        down = f"encoder.b{resolution}.conv2.downsample.filter.weight"
        weights[down] = BINOMIAL.repeat(channels, 1, 1, 1)
    return weights


def save_onnx(network: Generator, path: Path) -> None:
    """Save a file like ``migan_pipeline_v2.onnx``.

    The exporter multiplies each noise with its strength and names the product by a number, and
    stores equal tensors once.
    """
    weights = published_weights(network)
    tensors, nodes = {"onnx::Conv_9": torch.ones(1, 1, 5, 5)}, []
    for number, name in enumerate(n for n in weights if n.endswith("noise_const")):
        strength = weights[name.replace("noise_const", "noise_strength")]
        tensors[f"onnx::Add_{99 - number}"] = weights[name] * strength
        nodes += [helper.make_node("Add", [f"x{number}", f"onnx::Add_{99 - number}"], ["y"])]
    tensors |= {f"model.{n}": w for n, w in weights.items() if "noise" not in n}
    same = "model.synthesis.b8.upsample.filter.weight"
    del tensors[same]
    kept = "model.synthesis.b16.upsample.filter.weight"
    nodes.append(helper.make_node("Identity", [kept], [same]))
    initializers = [numpy_helper.from_array(t.numpy(), name) for name, t in tensors.items()]
    initializers.append(numpy_helper.from_array(np.arange(3), "onnx::Slice_3"))
    image = helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, [1, 3, None, None])
    graph = helper.make_graph(nodes, "main_graph", [image], [], initializers)
    onnx.save(helper.make_model(graph), path)


def save_all(network: Generator, folder: Path) -> list[Path]:
    """Save a network in each of the published formats."""
    names = "a.safetensors", "migan_512_places2.pt", "migan_traced.pt", "migan_pipeline_v2.onnx"
    safe, checkpoint, traced, graph = (folder / name for name in names)
    save_file(published_weights(network), safe)
    torch.save(published_weights(network), checkpoint)
    torch.jit.trace(network, torch.rand(1, 4, 16, 16)).save(str(traced))
    save_onnx(network, graph)
    return [safe, checkpoint, traced, graph]


@pytest.fixture(scope="module")
def files(generator: Generator, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return save_all(generator, tmp_path_factory.mktemp("migan"))


def make_crop(height: int = 21, width: int = 30, seed: int = 0) -> Crop:
    random = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.bool_)
    mask[5:12, 6 + seed : 17] = True
    return Crop(random.integers(0, 256, (height, width, 3), dtype=np.uint8), mask, seed)


# --- the network --------------------------------------------------------------------------------


def test_migan_512_has_the_published_size_and_names() -> None:
    with torch.device("meta"):
        network = Generator()
    weights = network.state_dict()
    assert sum(w.numel() for n, w in weights.items() if "noise" not in n) == 5_893_144
    expected: dict[str, tuple[int, ...]] = {
        "encoder.b512.fromrgb.weight": (64, 4, 1, 1),
        "encoder.b512.conv2.conv2.weight": (128, 64, 1, 1),
        "encoder.b4.conv2.conv1.bias": (512,),
        "synthesis.b4.torgb.weight": (3, 512, 1, 1),
        "synthesis.b8.conv1.noise_const": (8, 8),
        "synthesis.b8.conv1.noise_strength": (),
        "synthesis.b512.conv1.conv1.weight": (128, 1, 3, 3),
        "synthesis.b512.conv1.conv2.weight": (64, 128, 1, 1),
        "synthesis.b512.torgb.bias": (3,),
    }
    assert {name: tuple(weights[name].shape) for name in expected} == expected
    assert "encoder.b256.fromrgb.weight" not in weights
    assert "synthesis.b4.conv1.noise_const" not in weights
    assert infer_config(weights) == MiganConfig()


def test_resampling_is_the_published_one() -> None:
    """Upsampling puts a zero beside each pixel and filters; downsampling filters with stride 2."""
    x = torch.rand(1, 3, 6, 8)
    zeros = torch.zeros(1, 3, 12, 16)
    zeros[..., ::2, ::2] = x
    weight = BINOMIAL.repeat(3, 1, 1, 1)
    spread = functional.conv2d(functional.pad(zeros, (2, 1, 2, 1)), 4 * weight, groups=3)
    assert torch.allclose(upsample(x), spread, atol=1e-6)
    reduced = functional.conv2d(x, weight, stride=2, padding=1, groups=3)
    assert torch.allclose(downsample(x), reduced, atol=1e-6)


def test_the_noise_is_the_stored_one_and_is_repeated_in_larger_pictures(
    generator: Generator,
) -> None:
    layer: Any = generator.synthesis.get_submodule("b16.conv1")
    noise = layer._noise(torch.zeros(1, 1, 16, 48))
    stored = layer.noise_const * layer.noise_strength
    assert torch.equal(noise, torch.cat([stored] * 3, 1))


# --- the inpainter ------------------------------------------------------------------------------


def test_the_network_sees_known_as_a_half_and_the_hole_as_grey(files: list[Path]) -> None:
    """The polarity and the ranges are those of the published network."""
    inpainter = MiganInpainter(files[0], "cpu")
    seen: list[torch.Tensor] = []

    def paint(x: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return torch.full((len(x), 3, *x.shape[2:]), 3.0)

    inpainter._network = paint  # type: ignore[assignment]
    crop = Crop(np.full((16, 16, 3), 255, np.uint8), np.eye(16, dtype=np.bool_))
    [result] = inpainter.inpaint([crop], Fill())
    [[mask, *rgb]] = seen[0].numpy()
    assert (mask == np.where(crop.mask, -0.5, 0.5)).all()
    assert all((plane == np.where(crop.mask, 0, 1)).all() for plane in rgb)
    assert (result == 255).all()


def test_a_crop_of_any_size_is_filled_whatever_was_in_the_hole(files: list[Path]) -> None:
    inpainter = MiganInpainter(files[0], "cpu")
    assert inpainter.input_spec.area == 16 * 16
    assert inpainter.input_spec.multiple == 4
    for size in [(21, 30), (16, 16), (12, 40)]:
        original = make_crop(*size)
        changed = Crop(original.image.copy(), original.mask)
        changed.image[changed.mask] = 255
        results = [inpainter.inpaint([crop], Fill())[0] for crop in (original, changed)]
        assert results[0].shape == original.image.shape
        assert np.array_equal(*results)
    assert inpainter.inpaint([], Fill()) == []


def test_batching_changes_results_only_by_rounding(files: list[Path]) -> None:
    crops = [make_crop(seed=1), make_crop(14, 18, seed=2), make_crop(seed=3), make_crop(seed=4)]
    batched = MiganInpainter(files[0], "cpu", RuntimeOptions(batch_size=2)).inpaint(crops, Fill())
    single = MiganInpainter(files[0], "cpu")
    for result, crop in zip(batched, crops, strict=True):
        assert abs(result.astype(int) - single.inpaint([crop], Fill())[0]).max() <= 1


# --- loading ------------------------------------------------------------------------------------


def test_all_published_formats_give_the_same_network(
    generator: Generator, files: list[Path]
) -> None:
    x = torch.rand(1, 4, 16, 32) - 0.5
    with torch.no_grad():
        expected = generator(x)
        for file in files:
            network, resolution = load_network(file)
            assert resolution == 16
            assert torch.allclose(network(x), expected, atol=1e-6), file.name
            assert isinstance(inpaint.load(str(file), "cpu"), MiganInpainter)


def test_migan_loads_by_its_card(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "models_folder", lambda: tmp_path)
    monkeypatch.setattr(catalogue, "snapshots", lambda *_: [])
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(ModelMissing, match="models download migan"):
        inpaint.load("migan", "cpu")
    for name in ("migan_pipeline_v2.onnx", "migan_traced.pt"):
        (source,) = [file for file in files if file.name == name]
        target = tmp_path / "migan" / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(source.read_bytes())
        assert isinstance(inpaint.load("migan", "cpu"), MiganInpainter)
        target.unlink()


def test_other_and_damaged_files_are_refused_in_one_line(
    generator: Generator, files: list[Path], tmp_path: Path
) -> None:
    def check_refused(name: str, *words: str) -> None:
        with pytest.raises(BadModel) as caught:
            inpaint.load(str(tmp_path / name), "cpu")
        text = str(caught.value)
        assert "\n" not in text
        assert all(word in text for word in (str(tmp_path / name), *words))

    graph = files[3].read_bytes()
    (tmp_path / "cut.onnx").write_bytes(graph[: len(graph) // 2])
    check_refused("cut.onnx", "not a readable .onnx")
    (tmp_path / "text.onnx").write_text("<html>not found</html>")
    check_refused("text.onnx", "not a readable .onnx")
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [])), tmp_path / "empty.onnx")
    check_refused("empty.onnx", "neither a LaMa nor a MI-GAN")
    weights = generator.state_dict()
    del weights["synthesis.b8.torgb.bias"]
    torch.save(weights, tmp_path / "lacks.pt")
    check_refused("lacks.pt", "lacks synthesis.b8.torgb.bias")
    torch.save(generator.state_dict() | {"encoder.new": torch.zeros(1)}, tmp_path / "new.pt")
    check_refused("new.pt", "has encoder.new")
