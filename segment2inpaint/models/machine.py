"""The memory, disk and extras of this machine, and the memory that a model needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segment2inpaint import extras
from segment2inpaint.models import catalogue, device
from segment2inpaint.models.catalogue import ModelCard

BYTES_OF_FLOAT32, BYTES_OF_FLOAT16 = 4, 2
# Offloading to RAM makes room on a GPU for a model of up to about twice its memory.
OFFLOAD_GAIN = 2


@dataclass(frozen=True)
class Machine:
    """The resources of a machine.

    Attributes:
        device: the torch device that models run on: ``cuda:N``, ``mps`` or ``cpu``.
        memory: free bytes on the device; on ``mps`` and ``cpu``, the free RAM.
        ram: free bytes of RAM.
        disk: free bytes on the disk that downloads go to.
        extras: the names in ``extras.EXTRAS`` whose packages are installed.
    """

    device: str
    memory: int
    ram: int
    disk: int
    extras: frozenset[str] = frozenset()

    def fit(self, needed: int) -> str:
        """Return how ``needed`` bytes fit: ``yes``, ``offload`` (only with that), or ``no``."""
        if needed <= self.memory:
            return "yes"
        offloads = self.device.startswith("cuda") and needed <= self.ram
        return "offload" if offloads and needed <= OFFLOAD_GAIN * self.memory else "no"


def this_machine() -> Machine:
    """Return the resources of this machine at this moment."""
    import psutil

    place = device.choose_device()
    return Machine(
        device=place,
        memory=device.free_memory(place),
        ram=int(psutil.virtual_memory().available),
        disk=psutil.disk_usage(str(_disk_of(catalogue.default_hub_cache()))).free,
        extras=frozenset(name for name in extras.EXTRAS if extras.is_installed(name)),
    )


def _disk_of(folder: Path) -> Path:
    """Return the folder, or the nearest one above that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def weight_bytes(card: ModelCard, place: str) -> int:
    """Return the bytes of a model's weights on a device, 0 if their number is unknown.

    Diffusion models have 16 bits a weight on a GPU; everything else has 32. A model that it
    needs is included.
    """
    half = card.backend == "diffusion" and place != "cpu"
    needed = catalogue.card(card.needs).parameters if card.needs else 0
    size = BYTES_OF_FLOAT16 if half else BYTES_OF_FLOAT32
    return (card.parameters + needed) * size if card.parameters else 0


def memory_needed(card: ModelCard, place: str) -> int:
    """Return the bytes that a model takes on a device with one crop or photo, 0 if unknown.

    ``memory`` of the card is for 16-bit weights and activations; a CPU computes in 32 bits. For a
    card without it, the weights are counted.
    """
    if card.memory:
        return card.memory * (2 if place == "cpu" else 1)
    return weight_bytes(card, place)
