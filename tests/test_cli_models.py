"""``models list``, ``show`` and ``download``, and ``doctor``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import run

from segment2inpaint.cli.doctor import LABEL_WIDTH
from segment2inpaint.cli.models import LABEL_WIDTH as SHOW_WIDTH
from segment2inpaint.extras import EXTRAS
from segment2inpaint.models import machine
from segment2inpaint.models.catalogue import ModelCard, cards
from segment2inpaint.models.machine import Machine

EVERY_EXTRA = frozenset(EXTRAS)
GPU_10_GB = Machine("cuda:0", 10 * 10**9, 30 * 10**9, 500 * 10**9, EVERY_EXTRA)


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
    assert rows["remove uses"] == "guided"


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
    fake_machine(monkeypatch, GPU_10_GB)
    rows = doctor()
    assert "sd15-inpaint" in rows["models that fit"]
    assert "sdxl-inpaint" in rows["with --offload"]
    assert "qwen-image" in rows["too large"]


def test_doctor_compares_all_models_that_find_or_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, GPU_10_GB)
    lines = run("doctor").stdout.splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("model  "))
    table = {line.split()[0]: line for line in lines[header + 1 :]}
    compared = [card for card in cards() if card.kind in ("detector", "inpainter")]
    assert {card.name for card in compared} <= set(table)
    assert table["sam2.1-tiny"].split()[1:5] == ["no", "126", "MB", "fits"]
    assert " 4  " in table["sam2.1-tiny"]
    assert "76.5 J&F on SA-V test" in table["sam2.1-tiny"]
    assert "too large" in table["qwen-image"]
    assert "not published" in table["qwen-image"]
    assert " no " in table["flux-fill"].removeprefix("flux-fill")
    assert any(line.startswith("seconds of edgetam, sam-vit-b, ") for line in lines)


def test_show_prints_what_a_model_is_chosen_by(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, GPU_10_GB)
    large = show("sam2.1-large")
    assert large["quality"].startswith("79.5 J&F on SA-V test (SAM 2 repository")
    assert large["seconds"].startswith(
        "28.1: CPU seconds to embed a photo, measured on an AMD EPYC"
    )
    assert large["licence"] == "Apache-2.0, commercial use allowed"
    fill = show("flux-fill")
    assert fill["quality"] == "not published"
    assert fill["seconds"] == "not published or measured"
    assert fill["memory"] == (
        "about 36.0 GB (33.7 GB of it weights), 10.0 GB free on cuda:0: too large"
    )
    assert "no commercial use, to be accepted on its page first" in fill["licence"]
    assert show("somebody/something")["memory"] == "unknown; 10.0 GB free on cuda:0"


def test_show_dates_only_the_cards_whose_facts_were_confirmed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_machine(monkeypatch, GPU_10_GB)
    dated = next(card for card in cards() if card.checked)
    assert show(dated.name)["checked"] == dated.checked
    assert show("hyper-sdxl")["checked"].startswith("no; some facts")


def test_show_compares_several_models(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, GPU_10_GB)
    header, tiny, edgetam, *sources = run(
        "models", "show", "sam2.1-tiny", "edgetam"
    ).stdout.splitlines()
    assert header.split()[:3] == ["model", "here", "memory"]
    assert (tiny.split()[0], edgetam.split()[0]) == ("sam2.1-tiny", "edgetam")
    assert len(sources) == 3
    assert sources[0].startswith("seconds of sam2.1-tiny, edgetam: ")


def test_recommend_prints_a_few_lines_for_each_task(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, GPU_10_GB)
    result = run("models", "recommend")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("this machine        cuda:0: 10.0 GB free, 30.0 GB of free RAM")
    labels = [line[:20].rstrip() for line in lines if not line.startswith(" ")]
    assert labels[1:] == [f"{task}, {rank}" for task in ("detect", "remove", "replace")
                          for rank in ("best", "lighter")]  # fmt: skip
    assert "$ segment2inpaint models download sdxl-inpaint" in result.stdout
    assert len(lines) <= 20


def test_recommend_prints_json(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, GPU_10_GB)
    printed = json.loads(run("models", "recommend", "--task", "replace", "--json").stdout)
    assert printed["machine"]["device"] == "cuda:0"
    [found] = printed["recommendations"]
    assert found["task"] == "replace"
    assert found["best"]["name"] == "flux2-klein"
    assert found["best"]["commands"] == ["segment2inpaint models download flux2-klein"]
    assert found["lighter"]["name"] == "sdxl-inpaint"


def test_recommend_says_if_nothing_paints_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, replace(GPU_10_GB, device="cpu", memory=10**9, ram=10**9))
    [_, line] = run("models", "recommend", "--task", "replace").stdout.splitlines()
    assert line.startswith("replace ")
    assert line.endswith("no model that paints a prompt fits; fill with a picture: --with")


def fake_machine(monkeypatch: pytest.MonkeyPatch, fake: Machine) -> None:
    monkeypatch.setattr(machine, "this_machine", lambda: fake)


def show(name: str) -> dict[str, str]:
    """Return the rows that ``models show`` prints, by their labels."""
    rows = run("models", "show", name).stdout.splitlines()
    return {row[:SHOW_WIDTH].rstrip(): row[SHOW_WIDTH:] for row in rows}


def doctor() -> dict[str, str]:
    """Return the rows that ``doctor`` prints, by their labels."""
    result = run("doctor")
    assert result.exit_code == 0, result.output
    rows = result.stdout.splitlines()
    return {row[:LABEL_WIDTH].rstrip(): row[LABEL_WIDTH:] for row in rows}
