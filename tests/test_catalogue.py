"""Model cards, and the models found on this machine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from segment2inpaint.detect import DETECTORS
from segment2inpaint.errors import BadModel, BadOption, ModelMissing
from segment2inpaint.models import catalogue
from segment2inpaint.models.catalogue import card, cards, find, format_size, models_folder, resolve


def create_snapshot(hub_cache: Path, name: str, revision: str = "abc", omit: str = "") -> Path:
    """Create the files of a downloaded model, without contents, and return their folder."""
    model = card(name)
    folder = catalogue.hub_folder(model, hub_cache) / "snapshots" / revision
    for file in {*model.files} - {omit} or {"model_index.json"}:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("{}")
    return folder


@pytest.mark.parametrize("model", cards(), ids=lambda model: model.name)
def test_cards_are_complete(model: catalogue.ModelCard) -> None:
    assert model.kind in {"detector", "inpainter", "part"}
    assert not model.needs or card(model.needs).kind == "part"
    assert model.backend in {"diffusion", "lama", "lora", "migan", *DETECTORS}
    assert catalogue.HUB_ID.fullmatch(model.repo)
    assert model.size > 1e6
    assert model.licence != "unknown, see its page"
    assert model.revision == "main" or re.fullmatch("[0-9a-f]{40}", model.revision)
    assert set(model.sha256) <= set(model.all_files)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in model.sha256.values())
    assert not any(Path(file).suffix in {".bin", ".ckpt", ".pth"} for file in model.files)
    if model.backend == "diffusion" and model.kind == "inpainter":
        assert model.pipeline
        assert model.memory > 1e9
        assert model.input_spec is not None
        assert model.input_spec.area is not None
        assert model.remove.prompt


def test_cards_are_found_by_name_and_by_repository() -> None:
    names = [model.name for model in cards()]
    assert names == sorted(names)
    assert {"sam-vit-b", "sam-vit-l", "sam-vit-h", "sd15-inpaint", "sdxl-inpaint"} <= set(names)
    assert card("sam-vit-b") is card("facebook/sam-vit-base")
    assert card("someone/something").repo == "someone/something"
    with pytest.raises(ModelMissing, match="known: chroma, "):
        card("sam-vit-x")


def test_malformed_card_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    for text in ('title = "x"', "title = ", 'title="x"\nrepo="a/b"\nfiles=[]\nsise = 3'):
        bad.write_text(text)
        with pytest.raises(BadModel, match="not a model card"):
            catalogue.read_card(bad)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('checked = "29 November"', "Invalid isoformat string: '29 November'"),
        ('commercial = "maybe"', "commercial must be yes, limited or no, got 'maybe'"),
        ('quality = "FID 3"', "quality needs quality_source"),
        ("seconds = 3.0", "seconds needs seconds_source"),
    ],
)
def test_dates_and_figures_of_a_card_are_validated(line: str, reason: str, tmp_path: Path) -> None:
    card_file = tmp_path / "bad.toml"
    card_file.write_text(f'title = "x"\nrepo = "a/b"\nfiles = []\n{line}\n')
    with pytest.raises(BadModel, match=reason):
        catalogue.read_card(card_file)


def test_models_that_find_or_fill_say_how_large_they_are_and_whether_their_use_is_free() -> None:
    for model in cards():
        if model.kind in {"detector", "inpainter"}:
            assert model.parameters > 1e6, model.name
            assert model.commercial, model.name


def test_find_requires_every_file(tmp_path: Path) -> None:
    assert find("sam-vit-b", hub_cache=tmp_path) is None
    create_snapshot(tmp_path, "sam-vit-b", omit="model.safetensors")
    assert find("sam-vit-b", hub_cache=tmp_path) is None
    folder = create_snapshot(tmp_path, "sam-vit-b", "whole")
    assert find("sam-vit-b", hub_cache=tmp_path) == folder
    assert find("facebook/sam-vit-base", hub_cache=tmp_path) == folder


def test_find_prefers_the_revision_of_the_card(tmp_path: Path) -> None:
    pinned = create_snapshot(tmp_path, "sam-vit-b", card("sam-vit-b").revision)
    create_snapshot(tmp_path, "sam-vit-b", "newer")
    assert find("sam-vit-b", hub_cache=tmp_path) == pinned


def test_find_accepts_a_hub_id(tmp_path: Path) -> None:
    assert find("org/name", hub_cache=tmp_path) is None
    folder = create_snapshot(tmp_path, "org/name")
    assert find("org/name", hub_cache=tmp_path) == folder


def test_find_requires_every_component_of_a_pipeline(tmp_path: Path) -> None:
    """Also for a model without a list of files: an interrupted download is not found."""
    folder = create_snapshot(tmp_path, "org/name")
    index = {"_class_name": "X", "unet": ["diffusers", "Y"], "scheduler": ["diffusers", "Z"],
             "image_encoder": [None, None], "safety_checker": ["x", "Optional"]}  # fmt: skip
    (folder / "model_index.json").write_text(json.dumps(index))
    shards = [f"unet/model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    weight_map = json.dumps({"weight_map": {"a": Path(shards[0]).name, "b": Path(shards[1]).name}})
    texts = {"scheduler/scheduler_config.json": "{}", "unet/config.json": "{}"}
    texts["unet/model.safetensors.index.json"] = weight_map
    for name, text in [*texts.items(), *((name, "") for name in shards)]:
        assert find("org/name", hub_cache=tmp_path) is None, name
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    assert find("org/name", hub_cache=tmp_path) == folder
    for name in shards:
        (folder / name).unlink()
    (folder / "unet" / "model.fp16.safetensors").touch()
    assert find("org/name", hub_cache=tmp_path) == folder
    (folder / "model_index.json").write_text("{")
    assert find("org/name", hub_cache=tmp_path) is None


def test_resolve_returns_existing_paths(tmp_path: Path) -> None:
    file = tmp_path / "sam.pth"
    file.touch()
    assert resolve(str(file), "sam") == file
    assert resolve(str(tmp_path), "diffusion") == tmp_path


@pytest.mark.parametrize("name", ["./sam", "/a/b", "a/b/c", "sam.pth", "~/x", "a.safetensors"])
def test_resolve_refuses_paths_that_do_not_exist(name: str) -> None:
    with pytest.raises(ModelMissing, match="no such file or folder"):
        resolve(name, "sam")


def test_resolve_names_the_download_command_and_downloads_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing) as caught:
        resolve("sam-vit-b", "sam", hub_cache=tmp_path)
    assert str(caught.value) == (
        "sam-vit-b is not on this machine (375 MB, licence Apache-2.0); "
        "get it with: segment2inpaint models download sam-vit-b"
    )
    with pytest.raises(ModelMissing, match="models download org/name"):
        resolve("org/name", "diffusion", hub_cache=tmp_path)
    folder = create_snapshot(tmp_path, "sam-vit-b")
    assert resolve("sam-vit-b", "sam", hub_cache=tmp_path) == folder


def test_resolve_names_a_file_if_the_repository_has_no_pipeline(tmp_path: Path) -> None:
    folder = create_snapshot(tmp_path, "org/name")
    (folder / "model_index.json").unlink()
    (folder / "tuned.safetensors").touch()
    with pytest.raises(ModelMissing, match=r"name one by its path, such as .*tuned\.safetensors"):
        resolve("org/name", "diffusion", hub_cache=tmp_path)


def test_resolve_refuses_models_of_another_backend() -> None:
    with pytest.raises(BadOption, match="'sam', not for 'diffusion'"):
        resolve("sam-vit-b", "diffusion")


def test_sizes_are_formatted_in_mb_and_gb() -> None:
    assert format_size(374_986_046) == "375 MB"
    assert format_size(6.94e9) == "6.9 GB"


def test_models_folder_is_an_absolute_path() -> None:
    assert models_folder().is_absolute()
    assert models_folder().name == "models"
