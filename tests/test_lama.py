"""Tests of LaMa: the network against the published sizes, and small random networks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import FakeDetector
from safetensors.torch import save_file
from torch import nn

from segment2inpaint import inpaint
from segment2inpaint.errors import BadModel, ModelMissing
from segment2inpaint.images import photo_from_array
from segment2inpaint.inpaint.lama.inpainter import LamaInpainter, load_network
from segment2inpaint.inpaint.lama.network import FourierUnit, Generator, LamaConfig, infer_config
from segment2inpaint.models import catalogue
from segment2inpaint.pipeline import Pipeline
from segment2inpaint.protocols import Crop, RuntimeOptions
from segment2inpaint.types import Fill

SMALL = LamaConfig(width=8, downsamplings=2, blocks=1)


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
    check_refused(tmp_path / "empty", "no .safetensors or .pt")
    check_refused(save_with(**{"generator.model.1.ffc.convl2l.weight": None}), "not a LaMa")
    check_refused(save_with(**{"generator.model.3.bn_g.bias": None}), "lacks model.3.bn_g.bias")
    check_refused(save_with(**{"generator.model.99.new": torch.zeros(1)}), "has model.99.new")


# --- the files in which people have it ----------------------------------------------------------


class TrainingRun(nn.Module):
    """The modules of upstream's training run that are saved with the generator."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = nn.Conv2d(3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.generator(x)
        return result


class Exported(nn.Module):
    """The module that upstream exports, with image and mask for input."""

    def __init__(self, run: TrainingRun) -> None:
        super().__init__()
        self.model = run

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        painted = self.model(torch.cat([image * (1 - mask), mask], 1))
        return mask * painted + (1 - mask) * image


class ForeignSettings:
    """An object of a library that is not installed where the file is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("executed"),)


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(5)
    network = Generator(SMALL).eval()
    for name, buffer in network.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)
    return network


def save_torchscript(generator: Generator, path: Path) -> None:
    """Save a file like IOPaint's ``big-lama.pt``."""
    crop = torch.rand(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
    torch.jit.trace(Exported(TrainingRun(generator)).eval(), crop).save(str(path))


def save_checkpoint(generator: Generator, path: Path) -> None:
    """Save a file like upstream's ``best.ckpt``, which Lightning writes."""
    run = TrainingRun(generator)
    moments = {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(3)}}
    checkpoint = {
        "epoch": 39,
        "global_step": 999_999,
        "callbacks": {ForeignSettings: {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [{"state": moments, "param_groups": [{"lr": 1e-3}]}],
        "hyper_parameters": ForeignSettings(),
        "state_dict": run.state_dict(),
    }
    torch.save(checkpoint, path)


@pytest.fixture(scope="module")
def published(generator: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file in each of the published formats."""
    folder = tmp_path_factory.mktemp("published")
    save_torchscript(generator, folder / "big-lama.pt")
    save_checkpoint(generator, folder / "best.ckpt")
    return folder


@pytest.mark.parametrize("name", ["big-lama.pt", "best.ckpt"])
def test_published_formats_give_the_same_network_and_run_no_code(
    generator: Generator,
    published: Path,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    crop = torch.rand(1, 4, 32, 48)
    with torch.no_grad():
        assert torch.equal(load_network(published / name)(crop), generator(crop))
    assert not (tmp_path / "executed").exists()
    (tmp_path / name).write_bytes((published / name).read_bytes())
    assert isinstance(inpaint.load(str(tmp_path / name), "cpu"), LamaInpainter)
    assert isinstance(inpaint.load(str(tmp_path), "cpu"), LamaInpainter)


def test_the_card_accepts_published_files_and_the_cache_of_torch_hub(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "models_folder", lambda: tmp_path)
    monkeypatch.setattr(catalogue, "snapshots", lambda *_: [])
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert catalogue.find("lama") is None
    hub = tmp_path / "torch" / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    (hub / "another.pt").write_bytes(b"another model")
    (hub / "big-lama.pt").write_bytes((published / "big-lama.pt").read_bytes())
    assert catalogue.find("lama") == hub
    assert isinstance(inpaint.load("lama", "cpu"), LamaInpainter)
    (hub / "big-lama.pt").unlink()
    (tmp_path / "lama").mkdir()
    (tmp_path / "lama" / "best.ckpt").write_bytes((published / "best.ckpt").read_bytes())
    assert catalogue.find("lama") == tmp_path / "lama"
    assert isinstance(inpaint.load("lama", "cpu"), LamaInpainter)


def test_refusals_are_one_line_and_import_no_diffusers(
    generator: Generator, published: Path, tmp_path: Path
) -> None:
    whole = (published / "big-lama.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    values = generator.state_dict()["model.1.ffc.convl2l.weight"].numpy().tobytes()
    (tmp_path / "flipped.pt").write_bytes(whole.replace(values, values[::-1]))
    (tmp_path / "text.ckpt").write_text("<html>not found</html>")
    torch.save({"state_dict": {"layer.weight": torch.zeros(1)}}, tmp_path / "other.ckpt")
    script = (
        "import sys\nfrom segment2inpaint import errors, inpaint\n"
        "for file in sys.argv[1:]:\n"
        "    try: inpaint.load(file, 'cpu')\n"
        "    except errors.BadModel as error: print(error)\n"
        "assert 'diffusers' not in sys.modules\n"
    )
    names = ["cut.pt", "flipped.pt", "text.ckpt", "other.ckpt"]
    command = [sys.executable, "-c", script, *(str(tmp_path / name) for name in names)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    expected = ["not a readable", "download it again", "not a readable", "not a LaMa"]
    assert len(lines) == len(names)
    for line, name, words in zip(lines, names, expected, strict=True):
        assert line.startswith(f"{tmp_path / name}: ")
        assert words in line
