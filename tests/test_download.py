"""Downloads from a small hub on the loopback device that can misbehave."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub import Hub, serve_hub

from segment2inpaint.errors import BadModel, ModelMissing
from segment2inpaint.models.catalogue import ModelCard, find
from segment2inpaint.models.download import download, select_files

WEIGHTS = bytes(range(256)) * 800
FILES = {"config.json": b'{"a": 1}', "model.safetensors": WEIGHTS, "notes.md": b"not wanted"}
MODEL = ModelCard(
    name="toy", title="", repo="org/toy", files=("config.json", "model.safetensors"), size=9
)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve_hub(FILES) as running:
        yield running


def get(
    hub: Hub, cache: Path, model: ModelCard = MODEL, timeout: float = 5.0, **options: Any
) -> Path:
    """Download the model from the hub into the cache."""
    return download(
        model,
        hub_cache=cache,
        endpoint=hub.url,
        answer_timeout=timeout,
        stall_timeout=timeout,
        **options,
    )


def check_refused(hub: Hub, cache: Path, *words: str, timeout: float = 5.0) -> None:
    """Check that the download fails with one line that contains these words."""
    with pytest.raises(ModelMissing) as caught:
        get(hub, cache, timeout=timeout)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("toy")
    assert all(word in text for word in words), text
    assert find("org/toy", hub_cache=cache) is None


def test_downloaded_model_is_complete_and_found(hub: Hub, tmp_path: Path) -> None:
    fractions: list[float] = []
    folder = get(hub, tmp_path, progress=lambda _, fraction: fractions.append(fraction))
    assert {p.name for p in folder.iterdir()} == {"config.json", "model.safetensors"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert folder == find("org/toy", hub_cache=tmp_path)
    assert fractions[-1] == 1.0
    assert not any("notes" in request for request in hub.requests)


def test_second_download_fetches_no_file_again(hub: Hub, tmp_path: Path) -> None:
    folder = get(hub, tmp_path)
    hub.requests.clear()
    assert get(hub, tmp_path) == folder
    assert not [r for r in hub.requests if r.startswith("GET") and "resolve" in r]


def test_files_in_sub_folders_are_downloaded(hub: Hub, tmp_path: Path) -> None:
    hub.files = {"model_index.json": b"{}", "unet/model.safetensors": WEIGHTS}
    folder = get(hub, tmp_path, ModelCard(name="toy", title="", repo="org/toy"))
    assert (folder / "unet" / "model.safetensors").is_file()
    assert folder.parent.name == "snapshots"


def test_unreachable_hub_is_an_error(tmp_path: Path) -> None:
    check_refused(
        Hub(url="http://127.0.0.1:9"), tmp_path, "cannot be downloaded from http://127.0.0.1:9"
    )


@pytest.mark.parametrize("request_line", ["GET /api", "HEAD", "GET /org"])
def test_silent_hub_is_an_error(hub: Hub, tmp_path: Path, request_line: str) -> None:
    hub.hang_on = request_line
    check_refused(hub, tmp_path, "nothing new for 0.5 s", timeout=0.5)


def test_hub_that_always_disconnects_is_an_error(hub: Hub, tmp_path: Path) -> None:
    """The hub's own client would retry forever."""
    hub.truncate = True
    check_refused(hub, tmp_path, "nothing new for 1.5 s", timeout=1.5)


@pytest.mark.parametrize(
    ("status", "error", "word"),
    [
        (401, "GatedRepo", "is gated; accept its licence at https://huggingface.co/org/toy"),
        (403, "GatedRepo", "hf auth login"),
        (403, "", "is gated"),
        (401, "", "has no org/toy, or it requires: hf auth login"),
        (404, "RepoNotFound", "has no org/toy"),
        (404, "RevisionNotFound", "has no revision main of org/toy"),
        (404, "EntryNotFound", "has no revision main of org/toy"),
        (429, "", "answered 429; try again later"),
        (500, "", "answered 500"),
    ],
)
def test_error_of_the_hub_is_explained(
    hub: Hub, tmp_path: Path, status: int, error: str, word: str
) -> None:
    hub.status, hub.error_code = status, error
    check_refused(hub, tmp_path, word)


@pytest.mark.parametrize("page", [b"<html>log in</html>", b"[1, 2]", b"{}"])
def test_response_that_is_not_from_a_hub_is_an_error(hub: Hub, tmp_path: Path, page: bytes) -> None:
    """The login page of a proxy, for example."""
    hub.listing = page
    check_refused(hub, tmp_path, "does not answer like a model hub; check HF_ENDPOINT and proxies")


def test_invalid_address_is_an_error(tmp_path: Path) -> None:
    check_refused(Hub(url="nonsense"), tmp_path, "cannot be downloaded from nonsense", "http://")


def test_hub_without_tls_is_an_error(hub: Hub, tmp_path: Path) -> None:
    hub.url = hub.url.replace("http:", "https:")
    check_refused(hub, tmp_path, "cannot be downloaded from https:", "SSL")


def test_full_disk_during_the_download_is_an_error(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_disk_full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.file_download.http_get", raise_disk_full)
    check_refused(hub, tmp_path, f"disk full while writing to {tmp_path}; free some space")


def test_file_missing_on_the_hub_is_an_error(hub: Hub, tmp_path: Path) -> None:
    del hub.files["model.safetensors"]
    check_refused(hub, tmp_path, "has no model.safetensors")


def test_repository_without_safetensors_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.files = {"config.json": b"{}", "pytorch_model.bin": WEIGHTS}
    with pytest.raises(ModelMissing, match=r"has no weights as \.safetensors"):
        get(hub, tmp_path, ModelCard(name="toy", title="", repo="org/toy"))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_damaged_file_is_deleted_and_can_be_downloaded_again(
    hub: Hub, tmp_path: Path, name: str
) -> None:
    hub.overrides[name] = bytes(len(FILES[name]))
    with pytest.raises(BadModel, match="damaged or another version"):
        get(hub, tmp_path)
    assert not list(tmp_path.rglob(name))
    hub.overrides.clear()
    assert (get(hub, tmp_path) / name).read_bytes() == FILES[name]


def test_checksum_of_the_card_takes_precedence_over_the_hub(hub: Hub, tmp_path: Path) -> None:
    wrong = ModelCard(**{**vars(MODEL), "sha256": {"model.safetensors": "0" * 64}})
    with pytest.raises(BadModel, match=r"expected 000000000000"):
        get(hub, tmp_path, wrong)


def test_too_small_disk_is_an_error(hub: Hub, tmp_path: Path) -> None:
    hub.files["model.safetensors"] = HugeFile()
    check_refused(hub, tmp_path, "disk full", "are needed; free some, or set HF_HUB_CACHE")


class HugeFile(bytes):
    """Empty contents with a length of a petabyte."""

    def __len__(self) -> int:
        return 10**15


def test_unwritable_folder_is_an_error(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelMissing, match=r"cannot write to .*file; set HF_HUB_CACHE"):
        get(hub, tmp_path / "file")


def test_offline_mode_is_an_error(tmp_path: Path) -> None:
    """The hub's client reads the switch when it is imported, hence the separate process."""
    code = (
        "from pathlib import Path\n"
        "from segment2inpaint.models.catalogue import card\n"
        "from segment2inpaint.models.download import download\n"
        f"download(card('sam-vit-b'), hub_cache=Path({str(tmp_path)!r}))\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    completed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert "ModelMissing: sam-vit-b: HF_HUB_OFFLINE is set" in completed.stderr


def test_files_for_loading_are_selected() -> None:
    plain = ["model_index.json", "unet/a.safetensors", "unet/config.json", "vae/b.safetensors"]
    others = ["README.md", "x.ckpt", "root.safetensors", "unet/a.bin", "unet/a.non_ema.safetensors"]
    assert set(select_files(plain + others)) == set(plain)
    half = ["unet/a.fp16.safetensors", "vae/b.fp16.safetensors"]
    assert set(select_files(plain + others + half)) == {
        *half,
        "model_index.json",
        "unet/config.json",
    }
    assert set(select_files(plain + others + half[:1])) == set(plain)
    assert set(select_files(["config.json", "model.safetensors"])) == {
        "config.json",
        "model.safetensors",
    }
    shards = ["transformer/x-00001-of-00002.safetensors", "transformer/x.safetensors.index.json"]
    assert set(select_files(["model_index.json", *shards])) == {"model_index.json", *shards}
