"""The extras of this project: optional packages, their purpose, and how to install them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from segment2inpaint.errors import PackageMissing


@dataclass(frozen=True)
class Extra:
    """Optional packages that one name of ``pip install 'segment2inpaint[NAME]'`` brings.

    Attributes:
        modules: the modules that must be importable, by their top-level names.
        purpose: the features that need them, for lists.
        megabytes: the disk space that they add to the core, with all they depend on, on Linux;
            ``benchmarks/install_size.py`` measures it.
    """

    modules: tuple[str, ...]
    purpose: str
    megabytes: int


_MODELS = ("torch", "torchvision", "segment_anything", "diffusers", "transformers", "accelerate",
           "huggingface_hub")  # fmt: skip
EXTRAS = {
    "models": Extra(_MODELS, "words, SAM, LaMa, MI-GAN, diffusion models, downloads", 5980),
    "matting": Extra(("pymatting",), "soft edges of cutout and of another background", 150),
    "parquet": Extra(("pyarrow",), "Parquet and Arrow sources, pairs, manifest.parquet", 180),
    "mcp": Extra(("mcp",), "tools for assistants: segment2inpaint mcp", 29),
    "datasets": Extra(("datasets", "pyarrow"), "results as a Hugging Face dataset", 300),
    "ray": Extra(("ray", "pyarrow"), "batch on a Ray cluster", 530),
    "edgetam": Extra((*_MODELS, "timm"), "the edgetam detector", 6000),
    "few-step": Extra((*_MODELS, "peft"), "MODEL+LORA", 5990),
    "quantize": Extra((*_MODELS, "torchao"), "--quantize", 6010),
    "heif": Extra(("pillow_heif",), "photos in HEIC", 28),
    "jxl": Extra(("pillow_jxl",), "photos in JPEG XL; the package is under the GPL", 7),
}


def is_installed(name: str) -> bool:
    """Return whether all packages of an extra are installed; none is imported."""
    return all(find_spec(module) for module in EXTRAS[name].modules)


def install_command(name: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install 'segment2inpaint[{name}]'"


def require(name: str, feature: str, instead: str = "") -> None:
    """Raise ``PackageMissing`` if an extra that ``feature`` needs is not installed.

    ``instead`` says what works without it.
    """
    if not is_installed(name):
        other = f"; or {instead}" if instead else ""
        raise PackageMissing(f"{feature} needs more packages: {install_command(name)}{other}")
