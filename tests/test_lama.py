"""Tests of LaMa: the network against the published sizes, and small random networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import FakeDetector
from safetensors.torch import save_file

from segment2inpaint import inpaint
from segment2inpaint.errors import BadModel, ModelMissing
from segment2inpaint.images import photo_from_array
from segment2inpaint.inpaint.lama.inpainter import LamaInpainter, is_lama, load_network
from segment2inpaint.inpaint.lama.network import FourierUnit, Generator, LamaConfig, infer_config
from segment2inpaint.models import catalogue
from segment2inpaint.pipeline import Pipeline
from segment2inpaint.protocols import Crop, RuntimeOptions
from segment2inpaint.types import Fill

SMALL = LamaConfig(width=8, downsamplings=2, blocks=2)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the names of a training run, in 16 bits, like the file of the card."""
    torch.manual_seed(0)
    network = Generator(SMALL)
    weights = {f"generator.{name}": w.half() for name, w in network.state_dict().items()}
    path = tmp_path_factory.mktemp("lama") / "model.safetensors"
    save_file({**weights, "discriminator.weight": torch.zeros(1)}, path)
    return path


def make_crop(height: int = 61, width: int = 90, seed: int = 0) -> Crop:
    random = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.bool_)
    mask[10:30, 20 + seed : 50] = True
    return Crop(random.integers(0, 256, (height, width, 3), dtype=np.uint8), mask, seed)


# --- the network --------------------------------------------------------------------------------


def test_big_lama_has_the_published_size_and_names() -> None:
    """It has 51 million weights, 204 MB in 32 bits, under the names of the checkpoints."""
    with torch.device("meta"):
        network = Generator()
    weights = {n: w for n, w in network.state_dict().items() if not n.endswith("tracked")}
    assert sum(w.numel() for w in weights.values()) == pytest.approx(51e6, rel=0.01)
    expected: dict[str, tuple[int, ...]] = {
        "model.1.ffc.convl2l.weight": (64, 4, 7, 7),
        "model.1.bn_l.running_mean": (64,),
        "model.4.ffc.convl2g.weight": (384, 256, 3, 3),
        "model.5.conv1.ffc.convl2l.weight": (128, 128, 3, 3),
        "model.5.conv1.ffc.convg2l.weight": (128, 384, 3, 3),
        "model.5.conv1.ffc.convg2g.conv1.0.weight": (192, 384, 1, 1),
        "model.5.conv1.ffc.convg2g.conv1.1.weight": (192,),
        "model.5.conv1.ffc.convg2g.fu.conv_layer.weight": (384, 384, 1, 1),
        "model.5.conv1.ffc.convg2g.fu.bn.running_var": (384,),
        "model.5.conv1.ffc.convg2g.conv2.weight": (384, 192, 1, 1),
        "model.22.conv2.bn_g.bias": (384,),
        "model.24.weight": (512, 256, 3, 3),
        "model.25.weight": (256,),
        "model.30.weight": (128, 64, 3, 3),
        "model.34.weight": (3, 64, 7, 7),
        "model.34.bias": (3,),
    }
    assert {name: tuple(weights[name].shape) for name in expected} == expected
    assert not any(name.startswith(("model.23", "model.33", "model.35")) for name in weights)
    assert infer_config(network.state_dict()) == LamaConfig()


def test_a_fourier_unit_with_an_identity_kernel_keeps_its_input() -> None:
    """This holds for a positive spectrum, such as that of an impulse."""
    unit = FourierUnit(1).eval()
    with torch.no_grad():
        unit.conv_layer.weight.copy_(torch.eye(2)[..., None, None])
        unit.bn.running_var.fill_(1 - unit.bn.eps)
    impulse = torch.zeros(1, 1, 6, 9)
    impulse[..., 0, 0] = 1
    assert torch.allclose(unit(impulse), impulse, atol=1e-6)


def test_the_network_sees_the_whole_picture() -> None:
    """A far pixel changes the output; the reach of the convolutions alone is 60 px."""
    torch.manual_seed(0)
    network = Generator(SMALL).eval()
    crop = torch.rand(1, 4, 64, 256)
    changed = crop.clone()
    changed[..., :8] = 0
    with torch.no_grad():
        assert (network(crop) - network(changed))[..., 200:].abs().max() > 1e-6


# --- the inpainter ------------------------------------------------------------------------------


def test_a_crop_of_any_size_is_filled(weights_file: Path) -> None:
    inpainter = LamaInpainter(weights_file, "cpu")
    for size in [(61, 90), (64, 64), (40, 111), (31, 51)]:
        crop = make_crop(*size)
        [result] = inpainter.inpaint([crop], Fill())
        assert result.shape == crop.image.shape
        assert result.dtype == np.uint8
    assert inpainter.inpaint([], Fill()) == []
    tiny = Crop(np.zeros((1, 3, 3), np.uint8), np.ones((1, 3), np.bool_))
    assert inpainter.inpaint([tiny], Fill())[0].shape == (1, 3, 3)


def test_the_content_of_the_hole_has_no_influence(weights_file: Path) -> None:
    original = make_crop()
    changed = Crop(original.image.copy(), original.mask)
    changed.image[changed.mask] = 255
    inpainter = LamaInpainter(weights_file, "cpu")
    results = [inpainter.inpaint([crop], Fill())[0] for crop in (original, changed)]
    assert np.array_equal(*results)


def test_batching_changes_results_only_by_rounding(weights_file: Path) -> None:
    crops = [make_crop(seed=1), make_crop(40, 50, seed=2), make_crop(seed=3), make_crop(seed=4)]
    batched = LamaInpainter(weights_file, "cpu", RuntimeOptions(batch_size=2)).inpaint(
        crops, Fill()
    )
    inpainter = LamaInpainter(weights_file, "cpu")
    for result, crop in zip(batched, crops, strict=True):
        assert abs(result.astype(int) - inpainter.inpaint([crop], Fill())[0]).max() <= 1


def test_pixels_outside_the_mask_do_not_change(weights_file: Path) -> None:
    mask = np.zeros((80, 120), np.bool_)
    mask[50:78, 3:40] = True
    photo = photo_from_array(
        np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    )
    result = Pipeline(FakeDetector(mask), LamaInpainter(weights_file, "cpu"), attempts=1)(photo, [])
    assert result.changed_outside == 0
    assert (result.image != photo.image)[mask].any()


# --- loading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "generator.", "model."])
def test_names_with_a_prefix_are_loaded(tmp_path: Path, prefix: str) -> None:
    torch.manual_seed(1)
    network = Generator(SMALL).eval()
    path = tmp_path / "lama.safetensors"
    save_file({f"{prefix}{n}": w for n, w in network.state_dict().items()}, path)
    crop = torch.rand(1, 4, 32, 32)
    with torch.no_grad():
        assert torch.equal(load_network(path)(crop), network(crop))


def test_lama_loads_by_its_card_or_its_file(
    weights_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "models_folder", lambda: tmp_path)
    monkeypatch.setattr(catalogue, "snapshots", lambda *_: [])
    with pytest.raises(ModelMissing, match="models download lama"):
        inpaint.load("lama", "cpu")
    (name,) = catalogue.card("lama").files
    target = tmp_path / "lama" / name
    target.parent.mkdir(parents=True)
    target.write_bytes(weights_file.read_bytes())
    assert isinstance(inpaint.load("lama", "cpu"), LamaInpainter)
    assert isinstance(inpaint.load(str(weights_file), "cpu"), LamaInpainter)


def test_other_and_damaged_files_are_refused(weights_file: Path, tmp_path: Path) -> None:
    def check_refused(path: Path, *words: str) -> None:
        with pytest.raises(BadModel) as caught:
            LamaInpainter(path, "cpu")
        text = str(caught.value)
        assert "\n" not in text
        assert all(word in text for word in (str(path), *words))

    def save_with(**changes: Any) -> Path:
        path = tmp_path / "changed.safetensors"
        weights = {f"generator.{n}": w for n, w in Generator(SMALL).state_dict().items()}
        save_file({n: w for n, w in {**weights, **changes}.items() if w is not None}, path)
        return path

    (tmp_path / "cut.safetensors").write_bytes(weights_file.read_bytes()[:5000])
    check_refused(tmp_path / "cut.safetensors", "not a readable")
    (tmp_path / "empty").mkdir()
    check_refused(tmp_path / "empty", "no .safetensors")
    check_refused(save_with(**{"generator.model.1.ffc.convl2l.weight": None}), "not a LaMa")
    check_refused(save_with(**{"generator.model.3.bn_g.bias": None}), "lacks model.3.bn_g.bias")
    check_refused(save_with(**{"generator.model.99.new": torch.zeros(1)}), "has model.99.new")
    assert is_lama(weights_file)
    assert not is_lama(tmp_path / "cut.safetensors")
    assert not is_lama(tmp_path / "none")
