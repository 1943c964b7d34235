"""The example workflows in a real ComfyUI on the CPU.

``S2I_COMFYUI`` is the folder of a ComfyUI whose packages this Python can import.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from web_server import DISC_CENTER, draw_scene, encode

from segment2inpaint.web.server import bind_socket

FOLDER = os.environ.get("S2I_COMFYUI", "")
PACK = Path(__file__).parent.parent / "integrations" / "comfyui"
START_TIME, RUN_TIME = 180.0, 120.0  # seconds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER, reason="S2I_COMFYUI is not the folder of a ComfyUI"),
]


def call(address: str, data: Any = None) -> Any:
    body = json.dumps(data).encode() if data is not None else None
    headers = {"content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(address, body, headers)) as answer:
        return json.loads(answer.read())


def wait_for(condition: Any, seconds: float) -> Any:
    """Return the first true value of a condition. Raises ``TimeoutError``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if value := condition():
                return value
        except OSError:
            pass  # not started yet
        time.sleep(0.5)
    raise TimeoutError


@pytest.fixture(scope="module")
def comfyui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Start ComfyUI with the pack. Yield its address and its folder of inputs and outputs."""
    base = tmp_path_factory.mktemp("comfyui")
    for name in ("input", "output", "custom_nodes"):
        (base / name).mkdir()
    shutil.copytree(PACK, base / "custom_nodes" / "segment2inpaint")
    (base / "input" / "photo.png").write_bytes(encode(draw_scene()))
    with bind_socket("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    words = ["main.py", "--cpu", "--port", port, "--base-directory", base, "--disable-auto-launch"]
    with (base / "log.txt").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, *map(str, words)], cwd=FOLDER, stdout=log, stderr=log
        )
        address = f"http://127.0.0.1:{port}"
        try:
            wait_for(lambda: call(f"{address}/system_stats"), START_TIME)
            yield address, base
        finally:
            server.terminate()
            server.wait(20)


def run_workflow(comfyui: tuple[str, Path], name: str) -> tuple[np.ndarray, str]:
    """Run an example on the disc. Return the saved picture and the shown message."""
    address, base = comfyui
    workflow = json.loads((PACK / "workflows" / name).read_text())
    workflow["2"]["inputs"]["points"] = "{},{}".format(*DISC_CENTER)
    job = call(f"{address}/prompt", {"prompt": workflow})["prompt_id"]
    history = wait_for(lambda: call(f"{address}/history/{job}").get(job), RUN_TIME)
    assert history["status"]["status_str"] == "success", history["status"]
    outputs = history["outputs"].values()
    (picture,) = (o["images"][0] for o in outputs if "images" in o)
    (message,) = (o["text"][0] for o in outputs if "text" in o)
    data = (base / "output" / picture["filename"]).read_bytes()
    return np.asarray(Pillow.open(BytesIO(data)).convert("RGB")), message


@pytest.mark.parametrize("name", sorted(path.name for path in PACK.glob("workflows/*.json")))
def test_an_example_workflow_changes_the_disc_alone(comfyui: tuple[str, Path], name: str) -> None:
    result, message = run_workflow(comfyui, name)
    photo = draw_scene()
    x, y = DISC_CENTER
    assert (result[y, x] != photo[y, x]).any()
    far = np.hypot(*(np.mgrid[:120, :160] - np.array([y, x])[:, None, None])) > 45
    assert (result[far] == photo[far]).all()
    assert message
