"""Which detector a name or a prompt means."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_detectors
from huggingface_hub import constants

from segment2inpaint import detect
from segment2inpaint.errors import BadModel, BadOption, BadPrompt, ModelMissing
from segment2inpaint.models import catalogue
from segment2inpaint.types import Box, Color, Everything, Points, Text, UserMask

CLICK = [Points(((40, 30),))]
PHOTO = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models on a machine that has none."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return catalogue.models_folder()


def lay(here: Path, *names: str) -> None:
    """Models in name only."""
    for name in names:
        for file in catalogue.card(name).files or ("model.safetensors",):
            (here / name / file).parent.mkdir(parents=True, exist_ok=True)
            (here / name / file).touch()


def test_every_card_has_its_place() -> None:
    """And every network that takes clicks is ranked, for a CPU and for a GPU."""
    cards = [c for c in catalogue.cards() if c.kind == "detector"]
    assert {c.backend for c in cards} <= detect.DETECTORS.keys()
    clicks = {c.name for c in cards if c.backend != "grounding-dino"}
    assert clicks == set(detect.FASTEST_FIRST) == set(detect.BEST_FIRST)
    assert set(detect.BACKEND_OF_MODEL_TYPE.values()) <= detect.DETECTORS.keys()


def test_without_models() -> None:
    assert detect.choose(CLICK).name == "grabcut"
    assert "models download" in detect.choose(CLICK).reason
    assert detect.choose([Everything()]).name == "regions"
    assert detect.choose([Color(at=(1, 1)), UserMask(np.ones((2, 2), bool))]).name == "color+mask"
    with pytest.raises(ModelMissing, match="models download grounding-dino-tiny"):
        detect.choose([Text("dog")])
    with pytest.raises(BadPrompt, match="no prompt"):
        detect.choose([])


def test_on_a_cpu_the_quick_network_is_taken(here: Path) -> None:
    lay(here, "sam-vit-h", "sam2.1-large", "sam2.1-tiny", "sam-vit-b")
    for prompts in (CLICK, [Box(1, 1, 9, 9)], [Everything()]):
        assert detect.choose(prompts, "cpu").name == "sam2.1-tiny"


def test_words_go_to_one_that_reads_and_one_that_masks(here: Path) -> None:
    lay(here, "grounding-dino-tiny")
    assert detect.choose([Text("dog")], "cpu").name == "grounding-dino-tiny,grabcut"
    lay(here, "sam2.1-tiny", "sam3")
    assert detect.choose([Text("dog")], "cpu").name == "grounding-dino-tiny,sam2.1-tiny"
    shutil.rmtree(here / "grounding-dino-tiny")
    assert detect.choose([Text("dog")], "cpu").name == "sam3"


def test_names_cards_and_folders(here: Path) -> None:
    """Of several cards of one backend the one that is here; as the hub has it, too."""
    folder = tiny_detectors.sam2(here / "sam2.1-small")
    eye = json.loads((folder / "processor_config.json").read_text())["image_processor"]
    (folder / "preprocessor_config.json").write_text(json.dumps(eye))
    for name in ("sam2", "sam2.1-small", "facebook/sam2.1-hiera-small", str(folder)):
        assert detect.load(name, "cpu").name == "sam2"


def test_a_file_is_sam_and_a_folder_what_it_says(tmp_path: Path) -> None:
    assert detect.load(str(tiny.save_sam(tmp_path)), "cpu").name == "sam"
    tiny.sam_of_transformers().save_pretrained(tmp_path / "hf")
    assert detect.load(str(tmp_path / "hf"), "cpu").name == "sam"
    hq = tiny_detectors.sam_hq(tmp_path / "hq")
    assert detect.load(str(hq), "cpu").name == "sam-hq"


def test_words_by_one_folder_masks_by_another(tmp_path: Path) -> None:
    dino = tiny_detectors.grounding_dino(tmp_path / "dino")
    sam2 = tiny_detectors.sam2(tmp_path / "sam2")
    detector = detect.load(f"{dino},{sam2}", "cpu")
    assert detector.name == "grounding-dino,sam2"
    masks = detector.detect(PHOTO, [Text("a dog", 0.0)])
    assert masks
    assert masks[0].mask.shape == (60, 90)
    assert detect.load(str(dino), "cpu").name == "grounding-dino,grabcut"


def test_the_cache_is_where_it_belongs_or_nowhere(tmp_path: Path) -> None:
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
        ("sd15-inpaint", BadOption, "is an inpainter, not a detector"),
        ("sam2.1-tiny", ModelMissing, "not on this machine .*models download sam2.1-tiny"),
        ("sam-hq", ModelMissing, "models download sam-hq-vit-base"),
        ("grounding-dino", ModelMissing, "models download grounding-dino-tiny"),
        ("someone/something", ModelMissing, "not on this machine"),
        ("gone.pth", ModelMissing, "no such file"),
        ("grabcut,sam", BadOption, "needs no other detector"),
    ],
)
def test_names_that_mean_nothing_here(name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        detect.load(name, "cpu")


def test_folders_of_other_models(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(BadModel, match="a bert model, not one of"):
        detect.load(str(tmp_path), "cpu")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BadModel, match="damaged"):
        detect.load(str(tmp_path), "cpu")
