"""Measure what a click costs with networks of real size, and what the cached embedding saves.

    python benchmarks/embeddings.py [sam-vit-b] [sam2.1-tiny] [edgetam]

The networks have random weights: their speed is that of the trained ones.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from segment2inpaint import detect
from segment2inpaint.detect.sam import embeddings
from segment2inpaint.types import Box, Points

PHOTO_SIZE = (1500, 2000)
REPEATS = 5


def write_sam_vit_b(folder: Path) -> Path:
    from safetensors.torch import save_file
    from segment_anything import sam_model_registry

    save_file(sam_model_registry["vit_b"]().state_dict(), folder / "sam.safetensors")
    return folder / "sam.safetensors"


def write_sam2_tiny(folder: Path) -> Path:
    from transformers import Sam2Config, Sam2ImageProcessor, Sam2Model, Sam2Processor

    Sam2Model(Sam2Config()).save_pretrained(folder)
    Sam2Processor(Sam2ImageProcessor()).save_pretrained(folder)
    return folder


def write_edgetam(folder: Path) -> Path:
    from transformers import (
        EdgeTamConfig,
        EdgeTamModel,
        Sam2ImageProcessor,
        Sam2Processor,
        TimmWrapperConfig,
    )

    levels = {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]}
    backbone = TimmWrapperConfig(architecture="repvit_m1", model_args=levels, num_labels=2)
    EdgeTamModel(EdgeTamConfig(vision_config={"backbone_config": backbone})).save_pretrained(folder)
    Sam2Processor(Sam2ImageProcessor()).save_pretrained(folder)
    return folder


MODELS = {"sam-vit-b": write_sam_vit_b, "sam2.1-tiny": write_sam2_tiny, "edgetam": write_edgetam}


def measure_seconds(function: Any) -> tuple[float, float]:
    """Return CPU and wall seconds of a call."""
    cpu, wall = time.process_time(), time.perf_counter()
    function()
    return time.process_time() - cpu, time.perf_counter() - wall


def measure(name: str, folder: Path) -> None:
    """Print the costs of clicks, a box, and a run that reads the cached embedding."""
    model = str(MODELS[name](folder))
    photo = np.random.default_rng(0).integers(0, 256, (*PHOTO_SIZE, 3), dtype=np.uint8)
    detector = detect.load(model, "cpu", cache=False)
    seconds = {
        "first click": measure_seconds(lambda: detector.detect(photo, [Points(((900, 700),))]))
    }
    clicks = [
        measure_seconds(lambda i=i: detector.detect(photo, [Points(((700 + 10 * i, 600),))]))
        for i in range(REPEATS)
    ]
    seconds["second click"] = tuple(np.median(clicks, axis=0))
    seconds["box"] = measure_seconds(lambda: detector.detect(photo, [Box(600, 500, 1200, 1000)]))
    embeddings.default_folder = lambda: folder / "cache"
    writer = detect.load(model, "cpu")
    writer.detect(photo, [Points(((900, 700),))])
    reader = detect.load(model, "cpu")
    seconds["next run, cached on disk"] = measure_seconds(
        lambda: reader.detect(photo, [Points(((900, 700),))])
    )
    size = next((folder / "cache").iterdir()).stat().st_size
    for row, (cpu, wall) in seconds.items():
        ratio = cpu / seconds["first click"][0]
        print(f"{name:<14}{row:<24}{cpu:8.2f} CPU-s {wall:8.2f} s {ratio:7.1%} of the first")
    print(f"{name:<14}{'cache file':<24}{size / 1e6:8.1f} MB")


def main() -> None:
    torch.manual_seed(0)
    for name in sys.argv[1:] or MODELS:
        with TemporaryDirectory() as folder:
            measure(name, Path(folder))


if __name__ == "__main__":
    main()
