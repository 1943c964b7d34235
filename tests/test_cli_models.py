"""``models list``, ``show`` and ``download``, and ``doctor``."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import run

from segment2inpaint.cli.doctor import LABEL_WIDTH
from segment2inpaint.models.catalogue import ModelCard


def test_models_are_listed_and_described() -> None:
    listed = run("models", "list").stdout
    for name in ("sam-vit-b", "sam-vit-l", "sam-vit-h", "sd15-inpaint", "sdxl-inpaint"):
        assert name in listed
    known = run("models", "show", "sam-vit-b").stdout
    assert "Apache-2.0" in known
    assert "facebook/sam-vit-base" in known
    hub_id = run("models", "show", "somebody/something").stdout
    assert "of unknown size" in hub_id
    assert "kind" not in hub_id
    unknown = run("models", "show", "magic")
    assert unknown.exit_code == 1
    assert unknown.stderr.startswith("error: no model 'magic'; known: ")


def test_doctor_prints_what_auto_uses() -> None:
    rows = doctor()
    for name in ("segment2inpaint", "devices", "a click uses", "replace uses"):
        assert rows[name]
    assert rows["remove uses"] == "exemplar"


def test_doctor_prints_what_the_optimizations_need(monkeypatch: pytest.MonkeyPatch) -> None:
    from segment2inpaint.inpaint.diffusion import optimization

    monkeypatch.setenv("CXX", "/nonexistent/c++")
    monkeypatch.setattr(optimization, "find_spec", lambda name: name == "torchao" or None)
    rows = doctor()
    assert rows["--quantize"].startswith("8bit by torchao; 4bit needs bitsandbytes, or torchao and")
    assert "native" in rows["--attention"].split(", ")
    assert rows["--compile"].startswith("needs a C++ compiler")


@pytest.mark.parametrize(
    ("names", "size"),
    [(["kandinsky22-prior", "kandinsky22-inpaint"], "takes about 11.0 GB"), (["lama"], "102 MB")],
)
def test_download_includes_the_models_that_a_model_needs(
    names: list[str], size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is announced with its size and licence, and stored in the folder of --cache-dir."""
    downloaded: list[tuple[str, Path]] = []

    def fetch(
        card: ModelCard, progress: object, *, skip_weights_in: object, hub_cache: Path
    ) -> Path:
        downloaded.append((card.name, hub_cache))
        assert not skip_weights_in
        return hub_cache / card.name

    monkeypatch.setattr("segment2inpaint.models.download.download", fetch)
    result = run("models", "download", names[-1], "--cache-dir", tmp_path)
    assert result.exit_code == 0, result.output
    assert downloaded == [(name, tmp_path) for name in names]
    assert result.stderr.count("licence Apache-2.0") == len(names)
    assert size in result.stderr


def test_doctor_prints_which_models_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    from segment2inpaint.models import device

    monkeypatch.setattr(device, "devices", lambda: ["cuda:0", "cpu"])
    monkeypatch.setattr(device, "free_memory", lambda _: 10_000_000_000)
    rows = doctor()
    assert "sd15-inpaint" in rows["models that fit"]
    assert "sdxl-inpaint" in rows["with --offload"]
    assert "qwen-image" in rows["too large"]


def doctor() -> dict[str, str]:
    """Return the rows that ``doctor`` prints, by their labels."""
    result = run("doctor")
    assert result.exit_code == 0, result.output
    rows = result.stdout.splitlines()
    return {row[:LABEL_WIDTH].rstrip(): row[LABEL_WIDTH:] for row in rows}
