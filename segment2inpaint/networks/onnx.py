"""Run the small networks that ship with the package, with ONNX Runtime."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from segment2inpaint.models.shipped import shipped_folder
from segment2inpaint.types import FloatArray

Network = Callable[[FloatArray], FloatArray]  # planes (C, H, W) -> logits (C', H', W')


class OnnxNetwork:
    """A network in an ONNX file. Threads may share one network.

    It is loaded at its first use, and runs on the CPU.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, planes: FloatArray) -> FloatArray:
        """Return the logits (C', H', W') of planes (C, H, W), for networks with one input."""
        (name,) = (given.name for given in self._session.get_inputs())
        (outputs,) = self.run(**{name: planes[None]})
        logits: FloatArray = outputs[0]
        return logits

    def run(self, **inputs: NDArray[np.generic]) -> list[FloatArray]:
        """Return the outputs for inputs by name, each with the batch as its first axis."""
        outputs: list[FloatArray] = self._session.run(None, inputs)
        return outputs

    @functools.cached_property
    def _session(self):  # type: ignore[no-untyped-def]
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        options.intra_op_num_threads = cv2.getNumThreads()  # which a pool of workers bounds
        # Threads that wait for work sleep instead of spinning.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_mem_pattern = False  # shapes vary: a plan for one of them only costs memory
        return onnxruntime.InferenceSession(
            self._path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )


@functools.cache
def shipped_network(name: str, folder: Path | None = None) -> OnnxNetwork | None:
    """Return the network in ``NAME.onnx`` of ``folder``, None if the file is missing.

    ``folder`` None is the folder of the networks that ship with the package.
    """
    path = (folder or shipped_folder("weights")) / f"{name}.onnx"
    return OnnxNetwork(path) if path.is_file() else None
