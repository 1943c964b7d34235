"""Everything is checked before any photo is edited."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dataset_photos import RED_HEX, batch, batch_red, output_files, write_rows

COLOR = ("--color", RED_HEX)


def test_an_output_must_not_overwrite_an_input(photo_folder: Path) -> None:
    """Neither by its own name nor through a link."""
    before = output_files(photo_folder)
    result = batch_red(photo_folder, photo_folder)
    assert result.exit_code == 1
    assert "over an input" in result.stderr
    (photo_folder.parent / "link").symlink_to(photo_folder)
    assert batch_red(photo_folder, photo_folder.parent / "link").exit_code == 1
    assert output_files(photo_folder) == before


def test_a_dry_run_writes_nothing(photo_folder: Path, tmp_path: Path) -> None:
    result = batch_red(photo_folder, tmp_path / "out", "--dry-run", "--estimate")
    assert result.exit_code == 0, result.output
    assert "folder: 5 photos with 5 objects" in result.stdout
    assert "x/photo.jpg -> x/photo.jpg: 1 object" in result.stdout
    assert re.search(r"estimate with 1 worker: \d+ s; .* 5 photos timed", result.stdout)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["nowhere", "out", *COLOR], 1, "no such file or folder"),
        (["in", "out"], 1, "need a prompt for all of them"),
        (["in", "out", *COLOR, "--category", "dog"], 1, "no annotations to select from"),
        (["in/a.png", "out", *COLOR], 1, "expected a folder"),
        (["in", "out", *COLOR, "--glob", "*.gif"], 1, "found by *.gif (there are: "),
        (["in", "out", *COLOR, "--estimate"], 2, "--estimate needs --dry-run"),
        (["rows.jsonl", "out", *COLOR, "--glob", "*.gif"], 1, "--glob selects from a folder"),
        (["in", "out", *COLOR, "--min-area", "x"], 2, "area must be"),
        (["in", "out", *COLOR, "--engine", "slurm"], 2, "slurm"),
        (["in", "out", *COLOR, "--masks", "../m"], 1, "below the output folder, got '../m"),
        (["in", "in/a.png", *COLOR], 1, "choose another OUTDIR"),
        (["in", "out", "--text", "dog"], 1, "models download"),
        (["in", "out", "--everything"], 2, "--pick N"),
    ],
)
def test_invalid_arguments_are_reported_in_one_line(
    photo_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(photo_folder.parent)
    write_rows(photo_folder.parent / "rows.jsonl", {"photo": "in/a.png"})
    result = batch(*options)
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert message in result.stderr
