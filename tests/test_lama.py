"""LaMa: the network against what is published of it, and small random ones of it."""

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
from segment2inpaint.images import photo_of
from segment2inpaint.inpaint.lama.inpainter import LamaInpainter, is_lama, load
from segment2inpaint.inpaint.lama.network import FourierUnit, Generator, LamaConfig, config_of
from segment2inpaint.models import catalogue
from segment2inpaint.pipeline import Pipeline
from segment2inpaint.protocols import Crop, RuntimeOptions
from segment2inpaint.types import Fill

SMALL = LamaConfig(width=8, down=2, blocks=2)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Named as in a training run, in 16 bits, as the file of the card."""
    torch.manual_seed(0)
    network = Generator(SMALL)
    weights = {f"generator.{name}": w.half() for name, w in network.state_dict().items()}
    path = tmp_path_factory.mktemp("lama") / "model.safetensors"
    save_file({**weights, "discriminator.weight": torch.zeros(1)}, path)
    return path


def crop(height: int = 61, width: int = 90, seed: int = 0) -> Crop:
    dice = np.random.default_rng(seed)
    bits = np.zeros((height, width), np.bool_)
    bits[10:30, 20 + seed : 50] = True
    return Crop(dice.integers(0, 256, (height, width, 3), dtype=np.uint8), bits, seed)


# --- the network --------------------------------------------------------------------------------


def test_big_lama_has_the_published_size_and_names() -> None:
    """51 million weights: 204 MB in 32 bits; layers where the checkpoints have them."""
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
    assert config_of(network.state_dict()) == LamaConfig()


def test_a_fourier_unit_is_a_convolution_of_the_spectrum() -> None:
    """With a kernel that does nothing and a positive spectrum, what goes in comes out."""
    unit = FourierUnit(1).eval()
    with torch.no_grad():
        unit.conv_layer.weight.copy_(torch.eye(2)[..., None, None])
        unit.bn.running_var.fill_(1 - unit.bn.eps)
    impulse = torch.zeros(1, 1, 6, 9)
    impulse[..., 0, 0] = 1
    assert torch.allclose(unit(impulse), impulse, atol=1e-6)


def test_the_whole_picture_is_seen() -> None:
    """A far pixel changes what is painted: the reach of the convolutions alone is 60 px."""
    torch.manual_seed(0)
    network = Generator(SMALL).eval()
    near = torch.rand(1, 4, 64, 256)
    far = near.clone()
    far[..., :8] = 0
    with torch.no_grad():
        assert (network(near) - network(far))[..., 200:].abs().max() > 1e-6


# --- the inpainter ------------------------------------------------------------------------------


def test_a_crop_of_any_size_is_filled(file: Path) -> None:
    loaded = LamaInpainter(file, "cpu")
    for size in [(61, 90), (64, 64), (40, 111), (31, 51)]:
        asked = crop(*size)
        [painted] = loaded.inpaint([asked], Fill())
        assert painted.shape == asked.image.shape
        assert painted.dtype == np.uint8
    assert loaded.inpaint([], Fill()) == []
    speck = Crop(np.zeros((1, 3, 3), np.uint8), np.ones((1, 3), np.bool_))
    assert loaded.inpaint([speck], Fill())[0].shape == (1, 3, 3)


def test_the_object_is_not_seen(file: Path) -> None:
    plain = crop()
    loud = Crop(plain.image.copy(), plain.mask)
    loud.image[loud.mask] = 255
    loaded = LamaInpainter(file, "cpu")
    one, other = (loaded.inpaint([c], Fill())[0] for c in (plain, loud))
    assert np.array_equal(one, other)


def test_a_batch_gives_what_each_gives(file: Path) -> None:
    wanted = [crop(seed=1), crop(40, 50, seed=2), crop(seed=3), crop(seed=4)]
    together = LamaInpainter(file, "cpu", RuntimeOptions(batch_size=2)).inpaint(wanted, Fill())
    alone = LamaInpainter(file, "cpu")
    for one, asked in zip(together, wanted, strict=True):
        assert abs(one.astype(int) - alone.inpaint([asked], Fill())[0]).max() <= 1


def test_nothing_changes_outside(file: Path) -> None:
    bits = np.zeros((80, 120), np.bool_)
    bits[50:78, 3:40] = True
    photo = photo_of(np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8))
    result = Pipeline(FakeDetector(bits), LamaInpainter(file, "cpu"), attempts=1)(photo, [])
    assert result.changed_outside == 0
    assert (result.image != photo.image)[bits].any()


# --- loading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "generator.", "model."])
def test_names_of_several_origins(tmp_path: Path, prefix: str) -> None:
    torch.manual_seed(1)
    network = Generator(SMALL).eval()
    path = tmp_path / "lama.safetensors"
    save_file({f"{prefix}{n}": w for n, w in network.state_dict().items()}, path)
    seen = torch.rand(1, 4, 32, 32)
    with torch.no_grad():
        assert torch.equal(load(path)(seen), network(seen))


def test_by_its_card_or_its_file(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "models_folder", lambda: tmp_path)
    monkeypatch.setattr(catalogue, "snapshots", lambda *_: [])
    with pytest.raises(ModelMissing, match="models download lama"):
        inpaint.load("lama", "cpu")
    (name,) = catalogue.card("lama").files
    target = tmp_path / "lama" / name
    target.parent.mkdir(parents=True)
    target.write_bytes(file.read_bytes())
    assert isinstance(inpaint.load("lama", "cpu"), LamaInpainter)
    assert isinstance(inpaint.load(str(file), "cpu"), LamaInpainter)


def test_files_that_are_not_it(file: Path, tmp_path: Path) -> None:
    def fails(path: Path, *words: str) -> None:
        with pytest.raises(BadModel) as caught:
            LamaInpainter(path, "cpu")
        text = str(caught.value)
        assert "\n" not in text
        assert all(word in text for word in (str(path), *words))

    def changed(**weights: Any) -> Path:
        path = tmp_path / "changed.safetensors"
        own = {f"generator.{n}": w for n, w in Generator(SMALL).state_dict().items()}
        save_file({n: w for n, w in {**own, **weights}.items() if w is not None}, path)
        return path

    (tmp_path / "cut.safetensors").write_bytes(file.read_bytes()[:5000])
    fails(tmp_path / "cut.safetensors", "not a readable")
    (tmp_path / "empty").mkdir()
    fails(tmp_path / "empty", "no .safetensors")
    fails(changed(**{"generator.model.1.ffc.convl2l.weight": None}), "not a LaMa")
    fails(changed(**{"generator.model.3.bn_g.bias": None}), "lacks model.3.bn_g.bias")
    fails(changed(**{"generator.model.99.new": torch.zeros(1)}), "has model.99.new")
    assert is_lama(file)
    assert not is_lama(tmp_path / "cut.safetensors")
    assert not is_lama(tmp_path / "none")
