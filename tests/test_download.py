"""Downloads, from a small hub on the loopback device that can misbehave."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub import Hub, served

from segment2inpaint.errors import BadModel, ModelMissing
from segment2inpaint.models.catalogue import ModelCard, find
from segment2inpaint.models.download import _wanted, download

WEIGHTS = bytes(range(256)) * 800
FILES = {"config.json": b'{"a": 1}', "model.safetensors": WEIGHTS, "notes.md": b"not wanted"}
MODEL = ModelCard(
    name="toy", title="", repo="org/toy", files=("config.json", "model.safetensors"), size=9
)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with served(FILES) as made:
        yield made


def get(
    hub: Hub, cache: Path, model: ModelCard = MODEL, patience: float = 5.0, **more: Any
) -> Path:
    return download(
        model, hub_cache=cache, endpoint=hub.url, answer=patience, stall=patience, **more
    )


def refused(hub: Hub, cache: Path, *words: str, patience: float = 5.0) -> str:
    """The error's one line."""
    with pytest.raises(ModelMissing) as caught:
        get(hub, cache, patience=patience)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("toy")
    assert all(word in text for word in words), text
    assert find("org/toy", hub_cache=cache) is None
    return text


def test_a_download_is_found_afterwards(hub: Hub, tmp_path: Path) -> None:
    shares: list[float] = []
    here = get(hub, tmp_path, progress=lambda _, share: shares.append(share))
    assert {p.name for p in here.iterdir()} == {"config.json", "model.safetensors"}
    assert (here / "model.safetensors").read_bytes() == WEIGHTS
    assert here == find("org/toy", hub_cache=tmp_path)
    assert shares[-1] == 1.0
    assert not any("notes" in request for request in hub.asked)


def test_a_second_download_keeps_what_is_there(hub: Hub, tmp_path: Path) -> None:
    here = get(hub, tmp_path)
    hub.asked.clear()
    assert get(hub, tmp_path) == here
    assert not [r for r in hub.asked if r.startswith("GET") and "resolve" in r]


def test_files_in_folders(hub: Hub, tmp_path: Path) -> None:
    hub.files = {"model_index.json": b"{}", "unet/model.safetensors": WEIGHTS}
    here = get(hub, tmp_path, ModelCard(name="toy", title="", repo="org/toy"))
    assert (here / "unet" / "model.safetensors").is_file()
    assert here.parent.name == "snapshots"


def test_nobody_answers(tmp_path: Path) -> None:
    refused(Hub(url="http://127.0.0.1:9"), tmp_path, "cannot be fetched from http://127.0.0.1:9")


@pytest.mark.parametrize("at", ["GET /api", "HEAD", "GET /org"])
def test_the_hub_hangs(hub: Hub, tmp_path: Path, at: str) -> None:
    hub.hang = at
    refused(hub, tmp_path, "nothing new for 0.5 s", patience=0.5)


def test_the_hub_breaks_off_again_and_again(hub: Hub, tmp_path: Path) -> None:
    """Its client would begin anew without end."""
    hub.cut = True
    refused(hub, tmp_path, "nothing new for 1.5 s", patience=1.5)


@pytest.mark.parametrize(
    ("status", "error", "word"),
    [
        (401, "GatedRepo", "is gated; accept its licence at https://huggingface.co/org/toy"),
        (403, "GatedRepo", "hf auth login"),
        (403, "", "is gated"),
        (401, "", "has no org/toy, or it needs: hf auth login"),
        (404, "RepoNotFound", "has no org/toy"),
        (404, "RevisionNotFound", "has no revision main of org/toy"),
        (404, "EntryNotFound", "has no revision main of org/toy"),
        (429, "", "answered 429; try again later"),
        (500, "", "answered 500"),
    ],
)
def test_the_hub_refuses(hub: Hub, tmp_path: Path, status: int, error: str, word: str) -> None:
    hub.status, hub.error = status, error
    refused(hub, tmp_path, word)


@pytest.mark.parametrize("page", [b"<html>log in</html>", b"[1, 2]", b"{}"])
def test_something_else_answers(hub: Hub, tmp_path: Path, page: bytes) -> None:
    """Such as a proxy that wants one to log in."""
    hub.listing = page
    refused(hub, tmp_path, "not as a hub of models does; check HF_ENDPOINT and proxies")


def test_an_address_that_is_none(tmp_path: Path) -> None:
    refused(Hub(url="nonsense"), tmp_path, "cannot be fetched from nonsense", "http://")


def test_a_hub_without_its_encryption(hub: Hub, tmp_path: Path) -> None:
    hub.url = hub.url.replace("http:", "https:")
    refused(hub, tmp_path, "cannot be fetched from https:", "SSL")


def test_the_disk_fills_up_meanwhile(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.file_download.http_get", full)
    refused(hub, tmp_path, f"disk full while writing to {tmp_path}; free some space")


def test_a_file_that_the_hub_lacks(hub: Hub, tmp_path: Path) -> None:
    del hub.files["model.safetensors"]
    refused(hub, tmp_path, "has no model.safetensors")


def test_no_weights_without_pickle(hub: Hub, tmp_path: Path) -> None:
    hub.files = {"config.json": b"{}", "pytorch_model.bin": WEIGHTS}
    with pytest.raises(ModelMissing, match=r"has no weights as \.safetensors"):
        get(hub, tmp_path, ModelCard(name="toy", title="", repo="org/toy"))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_damaged_file_is_deleted(hub: Hub, tmp_path: Path, name: str) -> None:
    hub.served[name] = bytes(len(FILES[name]))
    with pytest.raises(BadModel, match="damaged or not the known one"):
        get(hub, tmp_path)
    assert not list(tmp_path.rglob(name))
    hub.served.clear()
    assert (get(hub, tmp_path) / name).read_bytes() == FILES[name]


def test_the_cards_checksum_is_above_the_hubs(hub: Hub, tmp_path: Path) -> None:
    wrong = ModelCard(**{**vars(MODEL), "sha256": {"model.safetensors": "0" * 64}})
    with pytest.raises(BadModel, match=r"expected 000000000000"):
        get(hub, tmp_path, wrong)


def test_the_disk_is_too_small(hub: Hub, tmp_path: Path) -> None:
    hub.files["model.safetensors"] = Vast()
    refused(hub, tmp_path, "disk full", "are needed; free some, or set HF_HUB_CACHE")


class Vast(bytes):
    """Says that it is a petabyte."""

    def __len__(self) -> int:
        return 10**15


def test_a_folder_that_cannot_be_written(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelMissing, match=r"cannot write to .*file; set HF_HUB_CACHE"):
        get(hub, tmp_path / "file")


def test_offline_switch(tmp_path: Path) -> None:
    """It is read once, when the hub's client is imported: hence a process of its own."""
    code = (
        "from pathlib import Path\n"
        "from segment2inpaint.models.catalogue import card\n"
        "from segment2inpaint.models.download import download\n"
        f"download(card('sam-vit-b'), hub_cache=Path({str(tmp_path)!r}))\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert "ModelMissing: sam-vit-b: HF_HUB_OFFLINE is set" in ran.stderr


def test_what_is_wanted_of_a_listing() -> None:
    plain = ["model_index.json", "unet/a.safetensors", "unet/config.json", "vae/b.safetensors"]
    rest = ["README.md", "x.ckpt", "root.safetensors", "unet/a.bin", "unet/a.non_ema.safetensors"]
    assert set(_wanted(plain + rest)) == set(plain)
    half = ["unet/a.fp16.safetensors", "vae/b.fp16.safetensors"]
    assert set(_wanted(plain + rest + half)) == {*half, "model_index.json", "unet/config.json"}
    assert set(_wanted(plain + rest + half[:1])) == set(plain)
    assert set(_wanted(["config.json", "model.safetensors"])) == {
        "config.json",
        "model.safetensors",
    }
    shards = ["transformer/x-00001-of-00002.safetensors", "transformer/x.safetensors.index.json"]
    assert set(_wanted(["model_index.json", *shards])) == {"model_index.json", *shards}
