"""Models and the machine on the command line: models list, show, download; doctor."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from segment2inpaint.cli import main
from segment2inpaint.models.catalogue import ModelCard


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_models_are_listed_and_shown() -> None:
    listed = run("models", "list").stdout
    for name in ("sam-vit-b", "sam-vit-l", "sam-vit-h", "sd15-inpaint", "sdxl-inpaint"):
        assert name in listed
    shown = run("models", "show", "sam-vit-b").stdout
    assert "Apache-2.0" in shown
    assert "facebook/sam-vit-base" in shown
    other = run("models", "show", "somebody/something").stdout
    assert "of unknown size" in other
    assert "kind" not in other
    unknown = run("models", "show", "magic")
    assert unknown.exit_code == 1
    assert unknown.stderr.startswith("error: no model 'magic'; known: ")


def test_doctor_says_what_auto_takes() -> None:
    said = run("doctor").stdout
    for part in ("segment2inpaint", "devices", "a click takes", "remove takes", "exemplar"):
        assert part in said


def test_doctor_says_what_makes_models_fit_and_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    from segment2inpaint.cli.doctor import _faster
    from segment2inpaint.inpaint.diffusion import optimization

    monkeypatch.setenv("CXX", "/nonexistent/c++")
    monkeypatch.setattr(optimization, "find_spec", lambda name: name == "torchao" or None)
    said = _faster("cpu")
    assert said["--quantize"].startswith("8bit by torchao; 4bit needs bitsandbytes, or torchao and")
    assert "native" in said["--attention"].split(", ")
    assert said["--compile"].startswith("needs a C++ compiler")


@pytest.mark.parametrize(
    ("names", "size"),
    [(["kandinsky22-prior", "kandinsky22-inpaint"], "takes about 11.0 GB"), (["lama"], "102 MB")],
)
def test_a_download_brings_what_the_model_needs(
    names: list[str], size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part told with its size and licence, into the folder that was asked for."""
    fetched: list[tuple[str, Path]] = []

    def fetch(card: ModelCard, progress: object, *, without: object, hub_cache: Path) -> Path:
        fetched.append((card.name, hub_cache))
        assert not without
        return hub_cache / card.name

    monkeypatch.setattr("segment2inpaint.models.download.download", fetch)
    result = run("models", "download", names[-1], "--cache-dir", tmp_path)
    assert result.exit_code == 0, result.output
    assert fetched == [(name, tmp_path) for name in names]
    assert result.stderr.count("licence Apache-2.0") == len(names)
    assert size in result.stderr


def test_doctor_tells_which_models_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    from segment2inpaint.models import device

    monkeypatch.setattr(device, "devices", lambda: ["cuda:0", "cpu"])
    monkeypatch.setattr(device, "free_memory", lambda _: 10_000_000_000)
    lines = dict(line.split(None, 1) for line in _generation_lines())
    assert "sd15-inpaint" in lines["fit"]
    assert "sdxl-inpaint" in lines["offload"]
    assert "qwen-image" in lines["large"]


def _generation_lines() -> list[str]:
    """The last word of each row's name, and what it says."""
    from segment2inpaint.cli.doctor import _generation

    return [f"{key.split()[-1].removeprefix('--')} {value}" for key, value in _generation().items()]
