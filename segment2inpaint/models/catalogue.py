"""Models by name: the cards in ``models/cards/*.toml``, and where their files are on this machine.

Models live in the Hugging Face cache, shared with other programs; a folder laid by hand in
``folder()`` is found too. Nothing here touches the network.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import platformdirs

from segment2inpaint.errors import BadModel, BadOption, ModelMissing
from segment2inpaint.models.shipped import shipped_folder
from segment2inpaint.protocols import InputSpec
from segment2inpaint.types import Fill

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
OPTIONAL = {"safety_checker", "feature_extractor", "image_encoder"}  # pipelines run without
WEIGHTS = {".safetensors", ".pth", ".pt", ".bin", ".ckpt"}


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model.

    ``files`` of ``repo`` on the Hugging Face hub at ``revision``, ``size`` bytes in all;
    ``sha256`` of those files whose checksum is known, the hub's own serve for the others.
    ``gated``: the licence has to be accepted on the hub first. Without ``files`` the hub's
    listing decides. For inpainters: ``pipeline`` is the class in diffusers, ``fill`` what is
    used where a request leaves it open, ``remove`` what is used in a removal before that,
    ``guidance`` the pipeline's argument that a guidance scale is, ``batchable`` whether its
    crops may share a call, ``edits`` whether it takes instructions for a whole crop,
    ``memory`` the bytes that it takes in 16 bits with one crop, about;
    ``needs`` a card that it cannot do without. A ``lora`` makes a model of the same ``pipeline``
    need few steps, with the ``scheduler``, a class in diffusers, that goes with it.
    """

    name: str
    title: str
    repo: str
    licence: str = "unknown, see its page"
    kind: Literal["detector", "inpainter", "part", ""] = ""
    backend: str = ""
    gated: bool = False
    revision: str = "main"
    files: tuple[str, ...] = ()
    size: int = 0
    sha256: Mapping[str, str] = field(default_factory=dict)
    pipeline: str = ""
    input_spec: InputSpec | None = None
    fill: Fill = Fill()
    remove: Fill = Fill()
    guidance: str = "guidance_scale"
    batchable: bool = True
    edits: bool = False
    memory: int = 0
    needs: str = ""
    scheduler: str = ""

    @property
    def page(self) -> str:
        return f"https://huggingface.co/{self.repo}"

    @property
    def verified(self) -> str:
        """How a download is checked."""
        if self.sha256:
            return "sha256 in the card, the hub's for the rest"
        return "sha256 given by the hub"


@cache
def cards() -> list[ModelCard]:
    """All cards, sorted by name."""
    paths = sorted(shipped_folder("cards").glob("*.toml"), key=lambda path: path.stem)
    return [_read(path) for path in paths]


def card(name: str) -> ModelCard:
    """The card ``name``, or for a hub id (``org/name``) a card that knows no more than that.

    Raises ``ModelMissing`` for a name that is neither.
    """
    for known in cards():
        if name in (known.name, known.repo):
            return known
    if HUB_ID.fullmatch(name):
        return ModelCard(name=name, title=name, repo=name)
    names = ", ".join(known.name for known in cards())
    raise ModelMissing(f"no model {name!r}; known: {names}, or a hub id ORG/NAME, or a path")


def find(name: str, *, hub_cache: Path | None = None) -> Path | None:
    """The folder of the model ``name`` (or hub id) on this machine, None if it is not here.

    It has all files of the card; a download that was cut short is not found. Never touches
    the network. ``hub_cache`` is the Hugging Face cache, None the usual one.
    """
    model = card(name)
    return next((here for here in places(model, hub_cache) if _complete(model, here)), None)


def places(model: ModelCard, hub_cache: Path | None = None) -> list[Path]:
    """Where the model may be on this machine, whole or in part, the best place first."""
    return [models_folder() / model.name, *snapshots(model, hub_cache or default_hub_cache())]


def resolve(name: str, backend: str = "", *, hub_cache: Path | None = None) -> Path:
    """The file or folder that ``name`` means: a path, a card's name or a hub id.

    Nothing is downloaded. Raises ``ModelMissing`` with the command that would, ``BadOption`` for
    a model of another ``backend`` (empty: any will do).
    """
    path = Path(name).expanduser()
    if path.exists() and name not in {known.name for known in cards()}:
        return path
    if name.startswith((".", "~")) or len(path.parts) > 2 or path.suffix in WEIGHTS:
        raise ModelMissing(f"{name}: no such file or folder")
    model = card(name)
    if "" not in (backend, model.backend) and backend != model.backend:
        raise BadOption(f"{name} is a model for {model.backend!r}, not for {backend!r}")
    found = find(name, hub_cache=hub_cache)
    if found is None:
        _check_pipeline(model, hub_cache)
        how = download_command(name)
        raise ModelMissing(
            f"{name} is not on this machine{_size_and_licence(model)}; get it with: {how}"
        )
    return found


def _check_pipeline(model: ModelCard, hub_cache: Path | None) -> None:
    """Raises ``ModelMissing`` for a repository that is here and has models in one file each."""
    for here in places(model, hub_cache):
        files = sorted(here.glob("*.safetensors"))
        if files and not model.files and not (here / "model_index.json").exists():
            what = "no pipeline, but files; name one by its path"
            raise ModelMissing(f"{model.repo} has {what}, such as {files[0]}")


def models_folder() -> Path:
    """Where models laid by hand are looked for, each in a folder of its card's name."""
    return platformdirs.user_cache_path("segment2inpaint") / "models"


def default_hub_cache() -> Path:
    """The Hugging Face cache (set by ``HF_HUB_CACHE`` or ``HF_HOME``)."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def download_command(name: str) -> str:
    """What to type to get the model."""
    return f"segment2inpaint models download {name}"


def snapshots(model: ModelCard, hub_cache: Path) -> list[Path]:
    """The model's revisions in the Hugging Face cache, the card's own first, then the newest."""
    found = hub_folder(model, hub_cache) / "snapshots"
    if not found.is_dir():
        return []
    newest_first = sorted(found.iterdir(), key=lambda path: -path.stat().st_mtime)
    return sorted(newest_first, key=lambda path: path.name != model.revision)


def hub_folder(model: ModelCard, hub_cache: Path) -> Path:
    """Where the Hugging Face cache keeps the model."""
    return hub_cache / f"models--{model.repo.replace('/', '--')}"


def megabytes(size: float) -> str:
    """A number of bytes as text, such as ``375 MB`` or ``6.9 GB``."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _complete(model: ModelCard, here: Path) -> bool:
    """Whether the folder has what the card, or for want of it a model of any kind, needs."""
    if model.files:
        return all((here / file).is_file() for file in model.files)
    if (here / "model_index.json").is_file():
        return not missing_parts(here)
    return (here / "model.safetensors").is_file()


def missing_parts(here: Path) -> list[str]:
    """The parts that a pipeline's folder should have and does not, or not whole."""
    try:
        index = json.loads((here / "model_index.json").read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return ["model_index.json"]
    return [part for part in parts(index) if part not in OPTIONAL and not _whole(here / part)]


def parts(index: Mapping[str, Any]) -> list[str]:
    """The folders that a pipeline wants: [library, class] pairs, [null, null] for none."""
    return [k for k, v in index.items() if isinstance(v, list) and len(v) == 2 and v[0]]


def _whole(part: Path) -> bool:
    """Whether the folder is there, and if it is a network's, all of its weights."""
    here = {path.name for path in part.glob("*")}
    if "config.json" not in here or here & {"tokenizer_config.json", "preprocessor_config.json"}:
        return bool(here)
    weights = {name for name in here if Path(name).suffix in WEIGHTS}
    shards = [_shards(part / name) for name in here if ".index." in name]
    return any("-of-" not in name for name in weights) or any(s and s <= weights for s in shards)


def _shards(index: Path) -> set[str]:
    """The files over which a network's weights are spread."""
    try:
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()


def _size_and_licence(model: ModelCard) -> str:
    return f" ({megabytes(model.size)}, licence {model.licence})" if model.size else ""


def _read(path: Path) -> ModelCard:
    """Raises ``BadModel`` for a card that is not well formed."""
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        plain = ModelCard(
            name=path.stem,
            files=tuple(table.pop("files")),
            input_spec=InputSpec(**table.pop("input")) if "input" in table else None,
            fill=Fill(**table.pop("fill", {})),
            remove=Fill(**table.pop("remove", {})),
            title=table.pop("title"),
            repo=table.pop("repo"),
        )
        return replace(plain, **table)
    except (KeyError, TypeError, ValueError) as error:
        raise BadModel(f"{path}: not a model card: {error}") from error
