"""What a click costs with the real networks' sizes, and what the kept embedding saves.

The networks are built with random numbers for weights: their speed is that of the real ones.
Usage: python benchmarks/embeddings.py [sam-vit-b] [sam2.1-tiny] [edgetam]
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

SIZE = (1500, 2000)
REPEATS = 5


def sam_vit_b(folder: Path) -> Path:
    from safetensors.torch import save_file
    from segment_anything import sam_model_registry

    save_file(sam_model_registry["vit_b"]().state_dict(), folder / "sam.safetensors")
    return folder / "sam.safetensors"


def sam2_tiny(folder: Path) -> Path:
    from transformers import Sam2Config, Sam2ImageProcessor, Sam2Model, Sam2Processor

    Sam2Model(Sam2Config()).save_pretrained(folder)
    Sam2Processor(Sam2ImageProcessor()).save_pretrained(folder)
    return folder


def edgetam(folder: Path) -> Path:
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


MODELS = {"sam-vit-b": sam_vit_b, "sam2.1-tiny": sam2_tiny, "edgetam": edgetam}


def timed(work: Any) -> tuple[float, float]:
    """CPU and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def measure(name: str, folder: Path) -> None:
    model = str(MODELS[name](folder))
    photo = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    first = detect.load(model, "cpu", cache=False)
    rows = {"first click": timed(lambda: first.detect(photo, [Points(((900, 700),))]))}
    clicks = [
        timed(lambda i=i: first.detect(photo, [Points(((700 + 10 * i, 600),))]))
        for i in range(REPEATS)
    ]
    rows["second click"] = tuple(np.median(clicks, axis=0))  # type: ignore[assignment]
    rows["box"] = timed(lambda: first.detect(photo, [Box(600, 500, 1200, 1000)]))
    embeddings.default_folder = lambda: folder / "kept"
    other = detect.load(model, "cpu")
    other.detect(photo, [Points(((900, 700),))])
    again = detect.load(model, "cpu")
    rows["next run, kept on disk"] = timed(lambda: again.detect(photo, [Points(((900, 700),))]))
    kept = next((folder / "kept").iterdir()).stat().st_size
    for row, (cpu, wall) in rows.items():
        share = cpu / rows["first click"][0]
        print(f"{name:<14}{row:<24}{cpu:8.2f} CPU-s {wall:8.2f} s {share:7.1%} of the first")
    print(f"{name:<14}{'kept':<24}{kept / 1e6:8.1f} MB")


def main() -> None:
    torch.manual_seed(0)
    for name in sys.argv[1:] or MODELS:
        with TemporaryDirectory() as folder:
            measure(name, Path(folder))


if __name__ == "__main__":
    main()
