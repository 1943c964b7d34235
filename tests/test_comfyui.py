"""The ComfyUI node pack, on tensors as ComfyUI passes them, and in a real ComfyUI if there is one.

``S2I_COMFYUI`` is the folder of a ComfyUI whose packages are installed.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from web_server import DISC_CENTER, draw_scene

from segment2inpaint import remove

torch = pytest.importorskip("torch", reason="ComfyUI brings torch")

PACK = Path(__file__).parent.parent / "integrations" / "comfyui"
CLICK = "{},{}".format(*DISC_CENTER)


@pytest.fixture(scope="module")
def pack() -> Any:
    """Return the pack, imported as ComfyUI does."""
    spec = importlib.util.spec_from_file_location("s2i_nodes", PACK / "__init__.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["s2i_nodes"] = module
    spec.loader.exec_module(module)
    return module


def run(pack: Any, name: str, *arguments: Any) -> Any:
    """Run a node by the name of its function, as ComfyUI does."""
    node = pack.NODE_CLASS_MAPPINGS[f"S2I{name}"]()
    outputs = getattr(node, node.FUNCTION)(*arguments)
    assert len(outputs) == len(node.RETURN_TYPES)
    return outputs


@pytest.fixture(scope="module")
def scene() -> Any:
    """Return two photos (2, h, w, 3) whose values lie between the levels of 8 bits."""
    pixels = np.stack([draw_scene(seed) for seed in (0, 1)]).astype(np.float32) / 255
    return torch.from_numpy(pixels) * 0.999


@pytest.fixture(scope="module")
def mask(pack: Any, scene: Any) -> Any:
    (found,) = run(pack, "Detect", scene, CLICK)
    return found


def test_every_node_has_inputs_outputs_and_a_name(pack: Any) -> None:
    assert pack.NODE_CLASS_MAPPINGS.keys() == pack.NODE_DISPLAY_NAME_MAPPINGS.keys()
    for node in pack.NODE_CLASS_MAPPINGS.values():
        assert node.INPUT_TYPES()["required"]
        assert node.__doc__
        assert callable(getattr(node, node.FUNCTION))


def test_a_click_finds_the_disc_in_every_image(mask: Any) -> None:
    assert mask.shape == (2, 120, 160)
    assert mask[:, DISC_CENTER[1], DISC_CENTER[0]].eq(1).all()
    assert 400 < float(mask[0].sum()) < 1200


def test_a_removal_keeps_every_bit_outside(pack: Any, scene: Any, mask: Any) -> None:
    after, changed, verdict, message = run(pack, "Remove", scene, mask, "if likely", "telea", 0)
    assert after.shape == scene.shape
    assert (after[changed == 0] == scene[changed == 0]).all()
    assert (after[mask == 1] != scene[mask == 1]).any()
    assert set(verdict.split("\n")) <= {"clean", "doubtful", "failed"}
    assert message


def test_a_removal_gives_the_pixels_of_the_library(pack: Any, mask: Any) -> None:
    photo, found = draw_scene(), mask[0].numpy() > 0.5
    image = torch.from_numpy(photo.astype(np.float32) / 255)[None]
    after, *_ = run(pack, "Remove", image, mask[:1], "if likely", "telea", 0)
    expected = remove(photo, found, inpainter="telea").image
    assert ((after[0] * 255).round().byte().numpy() == expected).all()


def test_a_crop_is_stitched_back_exactly(pack: Any, scene: Any, mask: Any) -> None:
    (soft,) = run(pack, "RefineMask", mask, "auto", "auto")
    crop, hole, cut = run(pack, "Crop", scene[:1], soft, 512, -1)
    assert crop.shape[:3] == hole.shape
    assert all(side % 8 == 0 for side in hole.shape[1:])
    (after,) = run(pack, "Stitch", cut, torch.ones_like(crop))
    outside = soft[0] == 0
    assert (after[0][outside] == scene[0][outside]).all()
    assert after[0, DISC_CENTER[1], DISC_CENTER[0]].eq(1).all()


def test_a_result_is_judged(pack: Any, scene: Any, mask: Any) -> None:
    after, changed, *_ = run(pack, "Remove", scene, mask, "if likely", "telea", 0)
    verdict, probability, message, again = run(pack, "Verify", scene, after, changed)
    assert verdict in ("clean", "doubtful", "failed")
    assert 0 <= probability <= 1
    assert message
    assert again is (verdict != "clean")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("Detect", (), "nothing to look for"),
        ("Detect", ("1,2,3",), "groups of 2 numbers"),
        ("Detect", ("9999,1",), "outside the photo"),
    ],
)
def test_a_wrong_input_is_told_in_a_line(
    pack: Any, scene: Any, name: str, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(Exception, match=message):
        run(pack, name, scene, *arguments)


def test_batches_that_do_not_fit_are_refused(pack: Any, scene: Any, mask: Any) -> None:
    with pytest.raises(ValueError, match="expected one image, got 2"):
        run(pack, "Crop", scene, mask, 512, -1)
    with pytest.raises(ValueError, match="one size"):
        run(pack, "Verify", scene, scene, mask[:, :60])


def test_an_empty_mask_cannot_be_cropped(pack: Any, scene: Any) -> None:
    with pytest.raises(ValueError, match="the mask is empty"):
        run(pack, "Crop", scene[:1], torch.zeros(1, 120, 160), 512, -1)
