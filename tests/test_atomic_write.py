"""Files are written completely or not at all, and never over the input without ``overwrite``."""

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


def test_missing_folders_are_created_and_no_temporary_file_is_left(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a" / "b" / "out.bin", b"abc")
    assert (tmp_path / "a" / "b" / "out.bin").read_bytes() == b"abc"
    assert names(tmp_path / "a" / "b") == ["out.bin"]


def test_new_files_follow_the_umask_and_replaced_files_keep_their_mode(tmp_path: Path) -> None:
    plain, target = tmp_path / "plain", tmp_path / "target"
    plain.write_bytes(b"")
    write_bytes(target, b"1")
    assert target.stat().st_mode == plain.stat().st_mode
    target.chmod(0o640)
    write_bytes(target, b"2")
    assert target.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("alias", ["same", "symlink", "hardlink", "dots"])
def test_input_is_overwritten_only_with_overwrite(tmp_path: Path, alias: str) -> None:
    """The target may be the input under another name."""
    source, target = tmp_path / "in.bin", tmp_path / "out.bin"
    source.write_bytes(b"old")
    if alias == "symlink":
        target.symlink_to(source)
    elif alias == "hardlink":
        target.hardlink_to(source)
    else:
        target = source if alias == "same" else tmp_path / ".." / tmp_path.name / "in.bin"
    with pytest.raises(BadImage, match=r"is the input itself.*--overwrite"):
        write_bytes(target, b"new", source=source)
    assert source.read_bytes() == b"old"
    write_bytes(target, b"new", source=source, overwrite=True)
    assert target.read_bytes() == b"new"
    assert target.is_symlink() == (alias == "symlink")


def test_other_files_are_replaced(tmp_path: Path) -> None:
    source, target = tmp_path / "in.bin", tmp_path / "out.bin"
    source.write_bytes(b"old")
    target.write_bytes(b"earlier")
    write_bytes(target, b"new", source=source)
    assert target.read_bytes() == b"new"


def test_folder_is_refused_as_target(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="expected a file to write, got a folder"):
        check_target(tmp_path)


def test_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadImage, match="cannot be written"):
        write_bytes(tmp_path / "file" / "out.bin", b"abc")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_devices_are_written_to_and_not_replaced() -> None:
    with pytest.raises(BadImage, match="/dev/full: cannot be written: No space left"):
        write_bytes("/dev/full", b"abc")
    write_bytes(os.devnull, b"abc")
    assert Path(os.devnull).is_char_device()


def test_failed_write_keeps_the_old_file_and_leaves_no_temporary_file(tmp_path: Path) -> None:
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


def test_full_disk_is_an_error_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    try:
        completed = subprocess.run(mount, capture_output=True, check=False)
    except OSError:
        pytest.skip("no mount command")
    if completed.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        with pytest.raises(BadImage, match="No space left on device"):
            write_bytes(tmp_path / "out.bin", bytes(1_000_000))
        assert names(tmp_path) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_folder_without_permission_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(BadImage, match="Permission denied"):
        write_bytes(tmp_path / "out.bin", b"abc")


def test_missing_permission_is_detected_before_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of a device need not be writable."""
    checked: list[Path] = []

    def deny(path: Path, mode: int) -> bool:
        checked.append(path)
        return False

    monkeypatch.setattr("segment2inpaint.images.atomic_write.os.access", deny)
    with pytest.raises(BadImage, match="Permission denied"):
        check_target(tmp_path / "new/deep/x.png")
    assert checked == [tmp_path]
    check_target(os.devnull)


def test_interrupt_leaves_the_folder_unchanged(tmp_path: Path) -> None:
    """Ctrl-C arrives while the temporary file is flushed."""
    (tmp_path / "out.bin").write_bytes(b"old")
    script = (
        "import os, signal, sys\n"
        "from segment2inpaint.images.atomic_write import write_bytes\n"
        "os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGINT)\n"
        "write_bytes(sys.argv[1], b'new')\n"
    )
    completed = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out.bin")], capture_output=True, check=False
    )
    assert b"KeyboardInterrupt" in completed.stderr
    assert names(tmp_path) == ["out.bin"]
    assert (tmp_path / "out.bin").read_bytes() == b"old"
