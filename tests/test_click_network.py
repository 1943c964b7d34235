"""That OpenCV runs the click network as torch does, and the file that ships."""

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
from segment2inpaint.networks import onnx as networks
from segment2inpaint.networks.click import PLANES, SIDE
from segment2inpaint.networks.onnx import OnnxNetwork

torch.set_num_threads(1)  # cores are shared

HALF = SIDE // 2


def stirred(network: nn.Module) -> nn.Module:
    """The network with all that begins as 0 or 1 made random."""
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
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    """A network of random weights, and its file."""
    folder = tmp_path_factory.mktemp("click")
    network = stirred(clicknet.ClickNetwork(clicknet.SIZES["small"]))
    torch.save({"network": network.state_dict()}, folder / "run.pt")
    words = [str(folder / "run.pt"), str(folder / "click.onnx")]
    export.main(words, standalone_mode=False)
    return network, folder / "click.onnx"


def test_opencv_runs_the_network_as_torch_does(made: tuple[nn.Module, Path]) -> None:
    seen = torch.randn(1, PLANES, SIDE, SIDE)
    seen[:, 4:] = (seen[:, 4:] > 1.5).float()
    with torch.no_grad():
        wanted = made[0](seen)[0].numpy()
    found = OnnxNetwork(made[1])(seen[0].numpy())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=0.01 * float(wanted.std()))


def test_threads_share_the_network(made: tuple[nn.Module, Path]) -> None:
    network = OnnxNetwork(made[1])
    rng = np.random.default_rng(0)
    seen = [rng.normal(0, 1, (PLANES, SIDE, SIDE)).astype(np.float32) for _ in range(3)]
    wanted = [network(planes) for planes in seen]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(network, seen * 2))
    assert all((a == b).all() for a, b in zip(found, wanted * 2, strict=True))


def test_the_file_is_small_and_tells_nothing_of_its_maker(made: tuple[nn.Module, Path]) -> None:
    data = made[1].read_bytes()
    assert len(data) < 16_000_000
    assert not [word for word in (b".py", b"site-packages", b"forward") if word in data]


def test_the_shipped_file_is_that_of_the_network(made: tuple[nn.Module, Path]) -> None:
    def weights(path: Path) -> dict[str, tuple[int, ...]]:
        held = onnx.load(path).graph.initializer
        return {w.name: tuple(w.dims) for w in held if w.name.endswith(".half")}

    assert weights(shipped_folder("weights") / "click.onnx") == weights(made[1]) != {}


def test_weights_that_half_precision_cannot_hold() -> None:
    network = clicknet.ClickNetwork(clicknet.SIZES["small"])
    nn.init.constant_(network.said.weight, 1e6)
    with pytest.raises(ValueError, match="half precision"):
        export.exported(network)


def test_no_torch_is_loaded() -> None:
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


def test_without_weights_there_is_no_network(tmp_path: Path) -> None:
    assert networks.shipped_network("click", tmp_path) is None
