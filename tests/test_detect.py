"""The names of detectors: aliases, cards, files and folders, and the choice of ``auto``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import tiny
import tiny_detectors
from huggingface_hub import constants

from segment2inpaint import detect
from segment2inpaint.detect.builtin.detector import BuiltinDetector
from segment2inpaint.editor import Editor
from segment2inpaint.errors import BadModel, BadOption, BadPrompt, ModelMissing
from segment2inpaint.models import catalogue
from segment2inpaint.request import from_json
from segment2inpaint.types import Box, Color, Everything, Points, Text, UserMask

CLICK = [Points(((40, 30),))]
PHOTO = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of models of a machine that has none."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return catalogue.models_folder()


def place_empty_models(folder: Path, *names: str) -> None:
    """Create the files of models without content, so that the catalogue finds them."""
    for name in names:
        for file in catalogue.card(name).files or ("model.safetensors",):
            (folder / name / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / file).touch()


def no_files(name: str) -> NoReturn:
    raise AssertionError(f"{name} was read")


def test_every_detector_card_has_a_backend_and_a_rank() -> None:
    cards = [c for c in catalogue.cards() if c.kind == "detector"]
    assert {c.backend for c in cards} <= detect.DETECTORS.keys()
    sams = {c.name for c in cards if c.backend != "grounding-dino"}
    assert sams == set(detect.FASTEST_FIRST) == set(detect.BEST_FIRST)
    assert set(detect.BACKEND_OF_MODEL_TYPE.values()) <= detect.DETECTORS.keys()


# --- the choice of auto ---------------------------------------------------------------------


def test_without_models_auto_chooses_detectors_without_weights() -> None:
    assert detect.choose(CLICK).name == "builtin"
    assert "models download" in detect.choose(CLICK).reason
    assert detect.choose([Everything()]).name == "builtin"
    assert detect.choose([Color(at=(1, 1)), UserMask(np.ones((2, 2), bool))]).name == "color+mask"
    with pytest.raises(ModelMissing, match="models download grounding-dino-tiny"):
        detect.choose([Text("dog")])
    with pytest.raises(BadPrompt, match="no prompt"):
        detect.choose([])


def test_auto_chooses_the_fastest_model_on_a_cpu(models_folder: Path) -> None:
    place_empty_models(models_folder, "sam-vit-h", "sam2.1-large", "sam2.1-tiny", "sam-vit-b")
    for prompts in (CLICK, [Box(1, 1, 9, 9)], [Everything()]):
        assert detect.choose(prompts, "cpu").name == "sam2.1-tiny"


def test_auto_chooses_a_text_model_and_the_best_segmenter(models_folder: Path) -> None:
    place_empty_models(models_folder, "grounding-dino-tiny")
    assert detect.choose([Text("dog")], "cpu").name == "grounding-dino-tiny,builtin"
    place_empty_models(models_folder, "sam2.1-tiny", "sam3")
    assert detect.choose([Text("dog")], "cpu").name == "grounding-dino-tiny,sam2.1-tiny"
    shutil.rmtree(models_folder / "grounding-dino-tiny")
    assert detect.choose([Text("dog")], "cpu").name == "sam3"


# --- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("grabcut", "builtin"),
        ("mask+grabcut", "mask+builtin"),
        ("grounding-dino,grabcut", "grounding-dino,builtin"),
        ("./grabcut.pth", "./grabcut.pth"),
        ("someone/grabcut", "someone/grabcut"),
    ],
)
def test_grabcut_is_an_alias_of_builtin(old: str, new: str) -> None:
    assert detect.canonical_name(old) == new
    detect.check_name(old)


def test_old_names_load_the_builtin_detector(tmp_path: Path) -> None:
    assert isinstance(detect.load("grabcut"), BuiltinDetector)
    assert detect.load("mask+grabcut").name == "mask+builtin"
    dino = tiny_detectors.grounding_dino(tmp_path / "dino")
    assert detect.load(f"{dino},grabcut", "cpu").name == "grounding-dino,builtin"


def test_a_request_with_the_old_name_gives_the_same_mask() -> None:
    """As saved by earlier versions."""
    masks = []
    for name in ("grabcut", "builtin"):
        data = {"prompts": [{"points": {"include": [[40, 30]]}}], "detector": name}
        request = from_json(data, no_files, no_files)
        detector = Editor().detector(request.detector)
        assert detector.name == "builtin"
        masks.append(detector.detect(PHOTO, request.prompts)[0].mask)
    assert np.array_equal(*masks)


def test_messages_list_the_new_name_only() -> None:
    with pytest.raises(BadOption) as caught:
        detect.check_name("sam9")
    assert " builtin," in str(caught.value)
    assert "grabcut" not in str(caught.value)


def test_backends_cards_hub_ids_and_folders_load_a_detector(models_folder: Path) -> None:
    """Of several cards of a backend, the one on this machine is taken."""
    folder = tiny_detectors.sam2(models_folder / "sam2.1-small")
    processor = json.loads((folder / "processor_config.json").read_text())["image_processor"]
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))  # as on the hub
    for name in ("sam2", "sam2.1-small", "facebook/sam2.1-hiera-small", str(folder)):
        assert detect.load(name, "cpu").name == "sam2"


def test_a_file_is_sam_and_a_folder_is_what_its_config_says(tmp_path: Path) -> None:
    assert detect.load(str(tiny.save_sam(tmp_path)), "cpu").name == "sam"
    tiny.sam_of_transformers().save_pretrained(tmp_path / "hf")
    assert detect.load(str(tmp_path / "hf"), "cpu").name == "sam"
    hq = tiny_detectors.sam_hq(tmp_path / "hq")
    assert detect.load(str(hq), "cpu").name == "sam-hq"


def test_two_folders_find_words_and_make_masks(tmp_path: Path) -> None:
    dino = tiny_detectors.grounding_dino(tmp_path / "dino")
    sam2 = tiny_detectors.sam2(tmp_path / "sam2")
    detector = detect.load(f"{dino},{sam2}", "cpu")
    assert detector.name == "grounding-dino,sam2"
    detections = detector.detect(PHOTO, [Text("a dog", 0.0)])
    assert detections
    assert detections[0].mask.shape == (60, 90)
    assert detect.load(str(dino), "cpu").name == "grounding-dino,builtin"


def test_embeddings_are_cached_on_disk_unless_cache_is_off(tmp_path: Path) -> None:
    checkpoint = str(tiny.save_sam(tmp_path))
    folder = tmp_path / "cache" / "segment2inpaint" / "embeddings"
    detect.load(checkpoint, "cpu", cache=False).detect(PHOTO, CLICK)
    assert not folder.exists()
    detect.load(checkpoint, "cpu").detect(PHOTO, CLICK)
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("sam9", BadOption, "unknown detector 'sam9'; known: auto, color, "),
        ("sd15-inpaint", BadOption, "expected a detector, got a model of kind 'inpainter'"),
        ("sam2.1-tiny", ModelMissing, "not on this machine .*models download sam2.1-tiny"),
        ("sam-hq", ModelMissing, "models download sam-hq-vit-base"),
        ("grounding-dino", ModelMissing, "models download grounding-dino-tiny"),
        ("someone/something", ModelMissing, "not on this machine"),
        ("gone.pth", ModelMissing, "no such file"),
        ("builtin,sam", BadOption, "takes no second detector; use builtin alone"),
        ("grabcut,sam", BadOption, "takes no second detector; use builtin alone"),
    ],
)
def test_names_that_cannot_be_loaded_are_explained(
    name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        detect.load(name, "cpu")


def test_folders_of_other_models_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(BadModel, match="holds a bert model, expected one of"):
        detect.load(str(tmp_path), "cpu")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BadModel, match="damaged"):
        detect.load(str(tmp_path), "cpu")
