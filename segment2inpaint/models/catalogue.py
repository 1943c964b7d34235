"""Find models by name: the cards in ``models/cards/*.toml``, and their files on this machine.

Models are stored in the Hugging Face cache, which other programs share. A model that the user
copied into ``models_folder()`` is found too. This module never uses the network.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

import platformdirs

from segment2inpaint import extras
from segment2inpaint.errors import BadModel, BadOption, ModelMissing
from segment2inpaint.models.shipped import shipped_folder
from segment2inpaint.models.weights import is_complete
from segment2inpaint.protocols import InputSpec
from segment2inpaint.types import Fill

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
# Pipelines run without these components.
OPTIONAL_COMPONENTS = {"safety_checker", "feature_extractor", "image_encoder"}
WEIGHT_SUFFIXES = {".safetensors", ".pth", ".pt", ".bin", ".ckpt"}


@dataclass(frozen=True)
class ModelCard:
    """The description of a model.

    Attributes:
        name: the name that users type: the card's file name, or a hub id.
        title: one line for lists.
        repo: the repository on the Hugging Face hub.
        former_repos: other repositories with the same weights, such as one that was deleted; their
            copies in the cache are used.
        licence: the licence of the weights.
        kind: ``detector``, ``inpainter``, ``part`` (used by other models), or empty if unknown.
        backend: the code that runs it: a detector's name, ``diffusion``, ``lama`` or
            ``lora``.
        gated: whether the licence must be accepted on the hub before a download.
        revision: the branch, tag or commit to download.
        files: the files to download; empty if the hub's listing decides.
        alternatives: files of other publishers with the same weights, and their addresses; any
            one of them in the model's folder will do, or in the cache of ``torch.hub``.
        size: bytes of all files; 0 if unknown.
        sha256: checksums of files; the hub's own are used for the others.
        pipeline: for diffusion models and LoRAs, the pipeline class in diffusers.
        input_spec: for inpainters, the input requirements.
        fill: for inpainters, the values for whatever a request leaves open.
        remove: values for removals, with precedence over ``fill``.
        guidance: the pipeline's argument that takes the guidance scale.
        batchable: whether several crops may share a call.
        edits: whether the model edits a whole crop by instruction.
        removal: whether the model was trained to remove objects; ``auto`` prefers it for that.
        memory: approximate bytes in use with 16-bit weights and one crop; 0 if unknown.
        parameters: the number of weights of all its networks; 0 if unknown.
        commercial: whether the licence allows commercial use: ``yes``, ``limited`` (by its
            conditions), ``no``, or empty if it was not checked.
        quality: a published figure of the quality, with its measure; empty if there is none.
        quality_source: where ``quality`` was published.
        seconds: the published or measured time for one crop or photo; 0 if unknown.
        seconds_source: what ``seconds`` is the time of, on which machine, and who measured it.
        checked: the day (ISO date) on which all facts of the card were confirmed; empty if some
            could not be confirmed.
        needs: the name of another card that this model requires; empty if none.
        scheduler: for a LoRA that reduces the number of steps, the scheduler class in diffusers.
        base: for a LoRA that removes, the card of the model that it was made for.
        lora_weight: for a LoRA, the weight it is added with by default.
        removes_only: whether the model ignores what a prompt asks for.
        outlines: for a LoRA, whether the object is outlined in red in the picture that the model
            sees.
        regular: for a model trained to inpaint, the card of its family's text-to-image models,
            which need other settings.
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
    alternatives: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    sha256: Mapping[str, str] = field(default_factory=dict)
    pipeline: str = ""
    input_spec: InputSpec | None = None
    fill: Fill = Fill()
    remove: Fill = Fill()
    guidance: str = "guidance_scale"
    batchable: bool = True
    edits: bool = False
    removal: bool = False
    memory: int = 0
    parameters: int = 0
    commercial: Literal["yes", "limited", "no", ""] = ""
    quality: str = ""
    quality_source: str = ""
    seconds: float = 0.0
    seconds_source: str = ""
    checked: str = ""
    needs: str = ""
    scheduler: str = ""
    base: str = ""
    lora_weight: float = 1.0
    removes_only: bool = False
    outlines: bool = False
    former_repos: tuple[str, ...] = ()
    regular: str = ""

    @property
    def extra(self) -> str:
        """The name of the extra with the packages that load it."""
        return {"lora": "few-step", "edgetam": "edgetam"}.get(self.backend, "models")

    @property
    def repos(self) -> tuple[str, ...]:
        """All repositories with these weights, the current one first."""
        return (self.repo, *self.former_repos)

    @property
    def all_files(self) -> tuple[str, ...]:
        """The card's files, and those of other publishers."""
        return (*self.files, *self.alternatives)

    @property
    def page(self) -> str:
        """The address of the model's page on the hub."""
        return f"https://huggingface.co/{self.repo}"

    @property
    def checksum_source(self) -> str:
        """The source of the checksums that a download is checked with, as text."""
        if self.sha256:
            return "sha256 in the card, the hub's for the rest"
        return "sha256 given by the hub"


@cache
def cards() -> list[ModelCard]:
    """Return all cards, sorted by name."""
    paths = sorted(shipped_folder("cards").glob("*.toml"), key=lambda path: path.stem)
    return [read_card(path) for path in paths]


def card(name: str) -> ModelCard:
    """Return the card with this name or repository, or a bare card for a hub id (``org/name``).

    Raises ``ModelMissing`` for a name that is neither.
    """
    for known in cards():
        if name in (known.name, *known.repos):
            return known
    if HUB_ID.fullmatch(name):
        return ModelCard(name=name, title=name, repo=name)
    names = ", ".join(known.name for known in cards())
    raise ModelMissing(f"no model {name!r}; known: {names}, or a hub id ORG/NAME, or a path")


def is_regular(model: ModelCard) -> bool:
    """Return whether the model is a family's text-to-image model, not trained to inpaint."""
    return any(known.regular == model.name for known in cards())


def find(name: str, *, hub_cache: Path | None = None) -> Path | None:
    """Return the folder of the model ``name`` (or hub id) on this machine, None if it is missing.

    The folder has all files of the card, or all components of a pipeline in any form that
    diffusers loads: an interrupted download is not found. If several repositories have the
    model, the one that is named comes first. ``hub_cache`` is the Hugging Face cache; None is the
    default one.
    """
    model = card(name)
    folders = candidate_folders(model, hub_cache)
    if name in model.former_repos:
        named = snapshots(replace(model, repo=name), hub_cache or default_hub_cache())
        folders = [*named, *folders]
    return next((folder for folder in folders if _is_complete(model, folder)), None)


def is_usable(name: str) -> bool:
    """Return whether the model is on this machine, and the packages that load it too."""
    return find(name) is not None and extras.is_installed(card(name).extra)


def uncatalogued_pipelines(hub_cache: Path | None = None) -> list[str]:
    """Return the hub ids of complete pipelines in the cache that no card names.

    Their class is that of a card, or the text-to-image class of the same family.
    """
    cache_folder = hub_cache or default_hub_cache()
    known = {repo for model in cards() for repo in model.repos}
    pipelines = {model.pipeline for model in cards() if model.kind == "inpainter"} - {""}
    families = {name.replace("Inpaint", "") for name in pipelines}
    names = [p.name.split("--", 1)[1].replace("--", "/") for p in cache_folder.glob("models--*--*")]
    found = {name: find(name, hub_cache=hub_cache) for name in sorted(set(names) - known)}
    return [n for n, path in found.items() if path and _class_name(path) in pipelines | families]


def _class_name(folder: Path) -> str:
    """Return the class of the pipeline in a folder, "" if there is none."""
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        return str(index["_class_name"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def candidate_folders(model: ModelCard, hub_cache: Path | None = None) -> list[Path]:
    """Return the folders where the model may be, complete or not, in order of preference."""
    cache_folder = hub_cache or default_hub_cache()
    repos = [replace(model, repo=repo) for repo in model.repos]
    cached = [folder for repo in repos for folder in snapshots(repo, cache_folder)]
    folders = [models_folder() / model.name, *cached]
    return [*folders, torch_hub_folder()] if model.alternatives else folders


def resolve(name: str, backend: str = "", *, hub_cache: Path | None = None) -> Path:
    """Return the file or folder of ``name``: a path, the name of a card or a hub id.

    Nothing is downloaded. Raises ``ModelMissing`` if the model is not on this machine; the message
    contains the download command. Raises ``BadOption`` for a model of another ``backend`` (empty
    accepts any).
    """
    path = Path(name).expanduser()
    if path.exists() and name not in {known.name for known in cards()}:
        return path
    if name.startswith((".", "~")) or len(path.parts) > 2 or path.suffix in WEIGHT_SUFFIXES:
        raise ModelMissing(f"{name}: no such file or folder")
    model = card(name)
    if "" not in (backend, model.backend) and backend != model.backend:
        raise BadOption(f"{name} is a model for {model.backend!r}, not for {backend!r}")
    found = find(name, hub_cache=hub_cache)
    if found is None:
        _check_pipeline(model, hub_cache)
        raise ModelMissing(
            f"{name} is not on this machine{_size_and_licence(model)}; "
            f"get it with: {download_command(name)}"
        )
    return found


def _check_pipeline(model: ModelCard, hub_cache: Path | None) -> None:
    """Raise ``ModelMissing`` if the repository is here but contains single-file models only."""
    for folder in candidate_folders(model, hub_cache):
        files = sorted(folder.glob("*.safetensors"))
        if files and not model.files and not (folder / "model_index.json").exists():
            raise ModelMissing(
                f"{model.repo} has no pipeline, but single files; "
                f"name one by its path, such as {files[0]}"
            )


def models_folder() -> Path:
    """Return the folder for models that users copy by hand: one sub-folder per card name."""
    return platformdirs.user_cache_path("segment2inpaint") / "models"


def torch_hub_folder() -> Path:
    """Return the folder of ``torch.hub`` for single files, which IOPaint and others share."""
    home = Path(os.environ.get("TORCH_HOME", _user_cache() / "torch")).expanduser()
    return home / "hub" / "checkpoints"


def default_hub_cache() -> Path:
    """Return the Hugging Face cache, as ``huggingface_hub`` does without importing it.

    It is set by ``HF_HUB_CACHE``, ``HF_HOME`` or ``XDG_CACHE_HOME``.
    """
    home = os.environ.get("HF_HOME") or str(_user_cache() / "huggingface")
    cache = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(os.path.expandvars(cache or f"{home}/hub")).expanduser()


def _user_cache() -> Path:
    """Return the folder that torch and Hugging Face cache models in, on every system."""
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()


def download_command(name: str) -> str:
    """Return the command that downloads the model."""
    return f"segment2inpaint models download {name}"


def setup_command(name: str) -> str:
    """Return the command that downloads the model, and first installs missing packages."""
    extra = card(name).extra
    install = [] if extras.is_installed(extra) else [extras.install_command(extra)]
    return " && ".join([*install, download_command(name)])


def snapshots(model: ModelCard, hub_cache: Path) -> list[Path]:
    """Return the model's revisions in the cache: the card's own, the newest downloaded, others.

    ``refs/main`` names the commit that ``main`` was at the last download.
    """
    folder = hub_folder(model, hub_cache)
    if not (folder / "snapshots").is_dir():
        return []
    order = [model.revision, *(_read_reference(folder, name) for name in (model.revision, "main"))]
    newest_first = sorted((folder / "snapshots").iterdir(), key=lambda path: -path.stat().st_mtime)
    return sorted(newest_first, key=lambda path: (*order, path.name).index(path.name))


def _read_reference(hub_folder: Path, name: str) -> str:
    """Return the commit of a branch or tag in a model's folder of the cache, "" if unknown."""
    try:
        return (hub_folder / "refs" / name).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def hub_folder(model: ModelCard, hub_cache: Path) -> Path:
    """Return the model's folder in the Hugging Face cache."""
    return hub_cache / f"models--{model.repo.replace('/', '--')}"


def format_size(size: float) -> str:
    """Return a number of bytes as text, such as ``375 MB`` or ``6.9 GB``."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _is_complete(model: ModelCard, folder: Path) -> bool:
    """Return whether the folder has the card's files, or all components of a pipeline."""
    if (folder / "model_index.json").is_file():
        return not missing_components(folder)
    if any((folder / name).is_file() for name in model.alternatives):
        return True
    names = model.files or ("model.safetensors",)
    return all((folder / name).is_file() for name in names)


def missing_components(folder: Path) -> list[str]:
    """Return the required components that a pipeline's folder lacks, or has without all weights."""
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return ["model_index.json"]
    required = [name for name in pipeline_components(index) if name not in OPTIONAL_COMPONENTS]
    return [name for name in required if not is_complete(folder / name)]


def pipeline_components(index: Mapping[str, Any]) -> list[str]:
    """Return the component folders in a ``model_index.json``: the keys with [library, class]."""
    return [k for k, v in index.items() if isinstance(v, list) and len(v) == 2 and v[0]]


def _size_and_licence(model: ModelCard) -> str:
    return f" ({format_size(model.size)}, licence {model.licence})" if model.size else ""


def read_card(path: Path) -> ModelCard:
    """Read a card from a TOML file. Raises ``BadModel`` if it is not well formed."""
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        model = ModelCard(
            name=path.stem,
            files=tuple(table.pop("files")),
            former_repos=tuple(table.pop("former_repos", ())),
            input_spec=InputSpec(**table.pop("input")) if "input" in table else None,
            fill=Fill(**table.pop("fill", {})),
            remove=Fill(**table.pop("remove", {})),
            title=table.pop("title"),
            repo=table.pop("repo"),
        )
        return _checked_facts(replace(model, **table))
    except (KeyError, TypeError, ValueError) as error:
        raise BadModel(f"{path}: not a model card: {error}") from error


def _checked_facts(model: ModelCard) -> ModelCard:
    """Return the card. Raises ``ValueError`` for a date or figure that is not well formed."""
    if model.checked:
        date.fromisoformat(model.checked)
    if model.commercial not in ("yes", "limited", "no", ""):
        raise ValueError(f"commercial must be yes, limited or no, got {model.commercial!r}")
    for figure in ("quality", "seconds"):
        if bool(getattr(model, figure)) != bool(getattr(model, f"{figure}_source")):
            raise ValueError(f"{figure} needs {figure}_source, and the other way round")
    return model
