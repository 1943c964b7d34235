"""Files appear whole or not at all, and never over the input unless asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from segment2inpaint.errors import BadImage
from segment2inpaint.images.atomic_write import check_target, write_bytes


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_folder_is_made_and_nothing_else_left(tmp_path: Path) -> None:
    """Missing folders are made; no temporary file stays."""
    write_bytes(tmp_path / "a" / "b" / "out.bin", b"abc")
    assert (tmp_path / "a" / "b" / "out.bin").read_bytes() == b"abc"
    assert names(tmp_path / "a" / "b") == ["out.bin"]


def test_mode_is_the_usual_one_or_the_old_one(tmp_path: Path) -> None:
    """New files follow the umask; a replaced file keeps its mode."""
    plain, target = tmp_path / "plain", tmp_path / "target"
    plain.write_bytes(b"")
    write_bytes(target, b"1")
    assert target.stat().st_mode == plain.stat().st_mode
    target.chmod(0o640)
    write_bytes(target, b"2")
    assert target.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("way", ["same", "symlink", "hardlink", "dots"])
def test_input_is_not_overwritten_unless_asked(tmp_path: Path, way: str) -> None:
    """By whatever name the target is the input, it needs ``overwrite``."""
    source, target = tmp_path / "in.bin", tmp_path / "out.bin"
    source.write_bytes(b"old")
    if way == "symlink":
        target.symlink_to(source)
    elif way == "hardlink":
        target.hardlink_to(source)
    else:
        target = source if way == "same" else tmp_path / ".." / tmp_path.name / "in.bin"
    with pytest.raises(BadImage, match=r"is the input itself.*--overwrite"):
        write_bytes(target, b"new", source=source)
    assert source.read_bytes() == b"old"
    write_bytes(target, b"new", source=source, overwrite=True)
    assert target.read_bytes() == b"new"
    assert target.is_symlink() == (way == "symlink")


def test_another_file_is_replaced(tmp_path: Path) -> None:
    """Only the input is protected."""
    source, target = tmp_path / "in.bin", tmp_path / "out.bin"
    source.write_bytes(b"old")
    target.write_bytes(b"earlier")
    write_bytes(target, b"new", source=source)
    assert target.read_bytes() == b"new"


def test_folder_as_target(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="expected a file to write, got a folder"):
        check_target(tmp_path)


def test_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadImage, match="cannot be written"):
        write_bytes(tmp_path / "file" / "out.bin", b"abc")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_devices_are_written_to_and_not_replaced() -> None:
    """A full device is one line; a device stays one."""
    with pytest.raises(BadImage, match="/dev/full: cannot be written: No space left"):
        write_bytes("/dev/full", b"abc")
    write_bytes(os.devnull, b"abc")
    assert Path(os.devnull).is_char_device()


def test_write_that_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    """The disk refuses the second half: the old file is whole and no part is left."""
    resource = pytest.importorskip("resource")
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(BadImage, match="cannot be written: File too large"):
            write_bytes(target, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["out.bin"]


def test_full_disk(tmp_path: Path) -> None:
    """A file system with no room: one line, no partial file."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except OSError:
        pytest.skip("no mount command")
    if done.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        with pytest.raises(BadImage, match="No space left on device"):
            write_bytes(tmp_path / "out.bin", bytes(1_000_000))
        assert names(tmp_path) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_no_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(BadImage, match="Permission denied"):
        write_bytes(tmp_path / "out.bin", b"abc")


def test_a_place_without_permission_is_known_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the work, not after it; a device needs no folder that can be written to."""
    asked: list[Path] = []

    def refused(path: Path, mode: int) -> bool:
        asked.append(path)
        return False

    monkeypatch.setattr("segment2inpaint.images.atomic_write.os.access", refused)
    with pytest.raises(BadImage, match="Permission denied"):
        check_target(tmp_path / "new/deep/x.png")
    assert asked == [tmp_path]
    check_target(os.devnull)


def test_interrupt_leaves_no_part(tmp_path: Path) -> None:
    """Ctrl-C while the part is flushed: the process ends, the folder is as it was."""
    (tmp_path / "out.bin").write_bytes(b"old")
    script = (
        "import os, signal, sys\n"
        "from segment2inpaint.images.atomic_write import write_bytes\n"
        "os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGINT)\n"
        "write_bytes(sys.argv[1], b'new')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out.bin")], capture_output=True, check=False
    )
    assert b"KeyboardInterrupt" in done.stderr
    assert names(tmp_path) == ["out.bin"]
    assert (tmp_path / "out.bin").read_bytes() == b"old"
