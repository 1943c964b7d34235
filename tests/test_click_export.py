"""OpenCV runs the exported click network as torch does, and the shipped file is well formed."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from models.training.click import clicknet, export
from segment2inpaint.models.shipped import shipped_folder
from segment2inpaint.networks.click import INPUT_PLANES, INPUT_SIDE
from segment2inpaint.networks.onnx import OnnxNetwork, shipped_network

INPUT_SHAPE = INPUT_PLANES, INPUT_SIDE, INPUT_SIDE

torch.set_num_threads(1)  # cores are shared


def randomize(network: nn.Module) -> nn.Module:
    """Return the network with random values where a new network has 0 or 1."""
    torch.manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean = torch.randn(part.num_features) / 5
            part.running_var = torch.rand(part.num_features) + 0.5
        if isinstance(part, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.uniform_(part.weight, 0.5, 1)
            nn.init.normal_(part.bias, 0, 0.2)
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, 0, part.in_features**-0.5)
    nn.init.normal_(network.get_parameter("place"))
    return network.eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    """A network with random weights, and the ONNX file exported from its checkpoint."""
    folder = tmp_path_factory.mktemp("click")
    network = randomize(clicknet.ClickNetwork(clicknet.SIZES["small"]))
    torch.save({"network": network.state_dict()}, folder / "run.pt")
    arguments = [str(folder / "run.pt"), str(folder / "click.onnx")]
    export.main(arguments, standalone_mode=False)
    return network, folder / "click.onnx"


def test_opencv_and_torch_give_the_same_logits(exported: tuple[nn.Module, Path]) -> None:
    network, path = exported
    planes = torch.randn(1, *INPUT_SHAPE)
    planes[:, 4:] = (planes[:, 4:] > 1.5).float()
    with torch.no_grad():
        expected = network(planes)[0].numpy()
    logits = OnnxNetwork(path)(planes[0].numpy())
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=0.01 * float(expected.std()))


def test_threads_can_share_a_network(exported: tuple[nn.Module, Path]) -> None:
    network = OnnxNetwork(exported[1])
    rng = np.random.default_rng(0)
    inputs = [rng.normal(0, 1, INPUT_SHAPE).astype(np.float32) for _ in range(3)]
    expected = [network(planes) for planes in inputs]
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(network, inputs * 2))
    assert all((a == b).all() for a, b in zip(results, expected * 2, strict=True))


def test_file_is_small_and_contains_no_paths(exported: tuple[nn.Module, Path]) -> None:
    data = exported[1].read_bytes()
    assert len(data) < 16_000_000
    assert not [word for word in (b".py", b"site-packages", b"forward") if word in data]


def test_shipped_file_has_the_weights_of_the_small_network(
    exported: tuple[nn.Module, Path],
) -> None:
    def weight_shapes(path: Path) -> dict[str, tuple[int, ...]]:
        weights = onnx.load(path).graph.initializer
        return {w.name: tuple(w.dims) for w in weights if w.name.endswith(".half")}

    shipped = weight_shapes(shipped_folder("weights") / "click.onnx")
    assert shipped == weight_shapes(exported[1]) != {}


def test_weights_beyond_half_precision_are_refused() -> None:
    network = clicknet.ClickNetwork(clicknet.SIZES["small"])
    nn.init.constant_(network.said.weight, 1e6)
    with pytest.raises(ValueError, match="half precision"):
        export.to_onnx(network)


def test_detector_does_not_import_torch() -> None:
    code = (
        "import sys, numpy as np;"
        "from segment2inpaint.detect.builtin import detector;"
        "from segment2inpaint.networks import onnx;"
        "from segment2inpaint.types import Points;"
        "assert onnx.shipped_network('click') is not None;"
        "image = np.zeros((40, 60, 3), np.uint8);"
        "detector.BuiltinDetector().detect(image, [Points(((5, 5),))]);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_network_without_a_file_is_none(tmp_path: Path) -> None:
    assert shipped_network("click", tmp_path) is None
