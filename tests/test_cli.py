"""The command line as a user meets it, bad input included."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_detectors
from click.testing import CliRunner, Result
from PIL import Image as Pillow

from segment2inpaint.cli import main

SIZE = (120, 160)
DISC = (80, 60)  # its centre
DISC_BOX = (66, 46, 95, 75)


def scene(*, disc: bool = True) -> np.ndarray:
    """A red disc on a grey gradient, with a little grain."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    grain = np.random.default_rng(0).normal(0, 1.5, (*SIZE, 3))
    photo = (90 + x / 3)[..., None] + grain
    if disc:
        photo[(x - DISC[0]) ** 2 + (y - DISC[1]) ** 2 < 15**2] += (90, -60, -60)
    return photo.clip(0, 255).astype(np.uint8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Pillow.fromarray(scene()).save(path)
    return path


def run(*words: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], input=stdin)


def told(result: Result, status: int, *parts: str) -> None:
    """One error line with these parts, this exit status, and no traceback."""
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    for part in parts:
        assert part in line


def loaded(path: Path) -> np.ndarray:
    return np.asarray(Pillow.open(path))


# --- the main job ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prompt",
    [
        ["-p", "80,60"],
        ["-b", "62,42,98,78"],
        ["-b", "98,78,62,42"],  # both ends swapped
        ["--color", "80,60"],
        ["-p", "80,60", "-n", "10,10"],
    ],
)
@pytest.mark.parametrize("inpainter", ["exemplar", "telea", "ns"])
def test_pointed_at_it_is_gone(
    photo: Path, tmp_path: Path, prompt: list[str], inpainter: str
) -> None:
    """Whatever points at the disc: what is left looks as if it had never been there."""
    out = tmp_path / "new" / "out.png"
    result = run("remove", photo, *prompt, "--inpainter", inpainter, "-o", out, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["changed_outside"] == 0
    after, clean = loaded(out).astype(int), scene(disc=False).astype(int)
    assert np.abs(after - clean)[45:75, 65:95].mean() < 6
    far = np.ones(SIZE, bool)
    far[30:90, 50:110] = False
    assert (after == scene())[far].all()


def test_the_mask_can_be_given_back(photo: Path, tmp_path: Path) -> None:
    """``mask`` then ``--mask`` is what the prompt itself would have given."""
    mask, one, two = (tmp_path / name for name in ("m.png", "1.png", "2.png"))
    assert run("mask", photo, "-p", "80,60", "-o", mask).exit_code == 0
    assert set(np.unique(loaded(mask))) == {0, 255}
    run("remove", photo, "--mask", mask, "--inpainter", "telea", "-o", one)
    run("remove", photo, "-p", "80,60", "--inpainter", "telea", "-o", two)
    assert (loaded(one) == loaded(two)).all()


def test_a_clean_plate_finds_what_is_new(photo: Path, tmp_path: Path) -> None:
    plate, mask = tmp_path / "plate.png", tmp_path / "m.png"
    Pillow.fromarray(scene(disc=False)).save(plate)
    assert run("mask", photo, "--plate", plate, "-o", mask).exit_code == 0
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    truth = (x - DISC[0]) ** 2 + (y - DISC[1]) ** 2 < 15**2
    found = loaded(mask) > 127
    assert (found & truth).sum() / (found | truth).sum() > 0.7


def test_replace_with_a_picture(photo: Path, tmp_path: Path) -> None:
    blue = np.zeros((40, 40, 4), np.uint8)
    blue[8:32, 8:32] = (10, 20, 250, 255)
    Pillow.fromarray(blue).save(tmp_path / "blue.png")
    out = tmp_path / "out.png"
    result = run("replace", photo, "--color", "80,60", "--with", tmp_path / "blue.png", "-o", out)
    assert result.exit_code == 0, result.output
    assert (loaded(out)[55:65, 75:85] == (10, 20, 250)).all()


def test_invert_repaints_the_background(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    words = ["-b", "62,42,98,78", "--invert", "--inpainter", "telea", "-o", out]
    assert run("remove", photo, *words).exit_code == 0
    after = loaded(out)
    assert (after[55:65, 75:85] == scene()[55:65, 75:85]).all()
    assert (after[:30] != scene()[:30]).any()


def test_each_click_its_own_object(photo: Path, tmp_path: Path) -> None:
    words = ["mask", photo, "-p", "80,60", "-p", "10,10", "--json", "-o", tmp_path / "m.png"]
    assert len(json.loads(run(*words).stdout)["masks"]) == 1
    assert len(json.loads(run(*words, "--each").stdout)["masks"]) == 2


def test_everything_is_numbered_and_picked(photo: Path, tmp_path: Path) -> None:
    numbers, over, mask = (tmp_path / name for name in ("n.png", "o.png", "m.png"))
    result = run("mask", photo, "--everything", "-o", numbers, "--overlay", over, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["masks"]
    labels = loaded(numbers)
    assert [m["number"] for m in found] == list(range(1, len(found) + 1))
    assert set(np.unique(labels)) <= set(range(len(found) + 1))
    assert loaded(over).shape == (120, 160, 3)
    (disc,) = [m["number"] for m in found if np.abs(np.subtract(m["box"], DISC_BOX)).max() < 6]
    run("mask", photo, "--everything", "--pick", disc, "-o", mask)
    assert loaded(mask)[60, 80] == 255
    assert (loaded(mask) == 255).sum() == found[disc - 1]["area"]
    out = run("remove", photo, "--everything", "--pick", disc, "-o", tmp_path / "x.png")
    assert out.exit_code == 0, out.output


def test_numbers_without_their_prompt(photo: Path, tmp_path: Path) -> None:
    words = ["-o", tmp_path / "x.png"]
    assert "say which: --pick" in run("remove", photo, "--everything", *words).stderr
    assert "--pick takes numbers" in run("mask", photo, "-p", "80,60", "--pick", "1", *words).stderr
    assert "such as 1,3" in run("mask", photo, "--everything", "--pick", "a", *words).stderr
    told(run("mask", photo, "--everything", "--pick", "99", *words), 1, "pick 99: there are")


def test_words_need_a_model(photo: Path, tmp_path: Path) -> None:
    result = run("mask", photo, "--text", "dog", "--detector", "grabcut", "-o", tmp_path / "x.png")
    told(result, 1, "grabcut: cannot use text, it takes points and boxes")


def test_words_by_a_model(photo: Path, tmp_path: Path) -> None:
    """A network of random numbers: what matters is the way there and back."""
    dino = tiny_detectors.grounding_dino(tmp_path / "dino")
    words = ["mask", photo, "--text", "a dog", "--detector", dino, "-o", tmp_path / "m.png"]
    found = run(*words, "--threshold", "0", "--device", "cpu", "--json")
    assert found.exit_code == 0, found.output
    assert len(json.loads(found.stdout)["masks"]) > 0
    told(run(*words, "--threshold", "1"), 4, "no 'a dog' above 1, the best scores 0.")


def test_rough_masks_follow_the_edge_unless_told_not_to(photo: Path, tmp_path: Path) -> None:
    checkpoint = tiny.save_sam(tmp_path)
    words = ["mask", photo, "-p", "80,60", "--detector", checkpoint, "--no-cache", "-o"]
    run(*words, tmp_path / "fine.png")
    run(*words, tmp_path / "rough.png", "--no-edge-refine")
    assert (loaded(tmp_path / "fine.png") != loaded(tmp_path / "rough.png")).any()


def test_stdin_to_stdout(photo: Path) -> None:
    words = ["remove", "-", "-p", "80,60", "--inpainter", "telea", "-o", "-"]
    result = run(*words, stdin=photo.read_bytes())
    assert result.exit_code == 0, result.stderr
    assert result.stdout_bytes.startswith(b"\x89PNG")
    mask = run("mask", "-", "-p", "80,60", "-o", "-", stdin=photo.read_bytes())
    assert mask.stdout_bytes.startswith(b"\x89PNG")


def test_outputs_besides_the_result(photo: Path, tmp_path: Path) -> None:
    mask, preview = tmp_path / "m.png", tmp_path / "p.jpg"
    words = ["-p", "80,60", "--inpainter", "telea", "-o", tmp_path / "o.png"]
    result = run("remove", photo, *words, "--save-mask", mask, "--preview", preview)
    assert result.exit_code == 0
    assert (loaded(mask)[loaded(tmp_path / "o.png").any(2)] >= 0).all()
    assert loaded(mask).max() == 255
    assert loaded(preview).shape == (120, 3 * 160 + 16, 3)
    assert result.stdout == ""


def test_the_same_seed_is_the_same_picture(photo: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.png" for name in "ab"]
    for file in files:
        run("remove", photo, "-p", "80,60", "--seed", 3, "-o", file)
    assert files[0].read_bytes() == files[1].read_bytes()


# --- bad input -------------------------------------------------------------------------------


def test_missing_photo(tmp_path: Path) -> None:
    told(run("remove", tmp_path / "no.jpg", "-p", "1,1", "-o", "x.png"), 1, "no.jpg", "no such")


def test_folder_for_a_photo(tmp_path: Path) -> None:
    told(run("remove", tmp_path, "-p", "1,1", "-o", "x.png"), 1, str(tmp_path), "folder")


@pytest.mark.parametrize(
    ("name", "data", "part"),
    [
        ("empty.jpg", b"", "empty"),
        ("text.jpg", b"this is no picture, it is a text\n" * 9, "text.jpg"),
    ],
)
def test_files_that_are_no_photo(tmp_path: Path, name: str, data: bytes, part: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    told(run("remove", path, "-p", "1,1", "-o", tmp_path / "x.png"), 1, name, part)
    assert not (tmp_path / "x.png").exists()


def test_truncated_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "half.jpg"
    Pillow.fromarray(scene()).save(path)
    path.write_bytes(path.read_bytes()[:900])
    told(run("remove", path, "-p", "1,1", "-o", tmp_path / "x.jpg"), 1, "half.jpg", "truncated")


def test_a_header_of_30000_by_30000(tmp_path: Path) -> None:
    """Refused by its header, before a gigabyte is asked for."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )
    told(
        run("remove", path, "-p", "1,1", "-o", tmp_path / "x.png"),
        1,
        "bomb.png",
        "30000",
        "--max-pixels",
    )


def test_one_pixel(tmp_path: Path) -> None:
    path, out = tmp_path / "dot.png", tmp_path / "x.png"
    Pillow.fromarray(np.full((1, 1, 3), 9, np.uint8)).save(path)
    result = run("remove", path, "-p", "0,0", "-o", out)
    assert result.exit_code in (0, 4), result.output
    assert result.exit_code == 4 or loaded(out).shape == (1, 1, 3)


@pytest.mark.parametrize("point", ["160,5", "5,120", "-1,5", "99999999,1"])
def test_point_outside(photo: Path, tmp_path: Path, point: str) -> None:
    result = run("remove", photo, "-p", point, "-o", tmp_path / "x.png")
    told(result, 1, "photo.png", point, "160 x 120")


@pytest.mark.parametrize("box", ["5,5,5,9", "5,5,9,5", "200,10,300,20"])
def test_box_with_nothing_in_it(photo: Path, tmp_path: Path, box: str) -> None:
    told(run("remove", photo, "-b", box, "-o", tmp_path / "x.png"), 1, "photo.png", "box")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["-p", "1"], "expected X,Y"),
        (["-p", "a,b"], "expected X,Y"),
        (["-b", "1,2,3"], "expected X0,Y0,X1,Y1"),
        (["--color", "#12"], "#RRGGBB"),
        (["--color", "red"], "X,Y or '#RRGGBB'"),
        (["-p", "1,1", "--dilate", "-3px"], "a number from 0"),
        (["-p", "1,1", "--dilate", "nan"], "a number from 0"),
        (["-p", "1,1", "--feather", "wide"], "12px"),
        (["-p", "1,1", "--nonsense"], "--nonsense"),
        (["-p", "1,1", "--strength", "2"], "--strength"),
        (["-p", "1,1", "--strength", "nan"], "'nan' is not a number"),
        (["--color", "1,1", "--tolerance", "nan"], "'nan' is not a number"),
        (["-p", "1,1", "--guidance-scale", "inf"], "--guidance-scale"),
        (["-p", "1,1", "--tolerance", "3"], "--tolerance goes with --color"),
        (["-p", "1,1", "--global"], "--global goes with --color"),
        (["-p", "1,1", "--threshold", "0.2"], "--threshold goes with --text"),
        (["--color", "1,1", "--granularity", "part"], "--granularity goes with --point"),
        (["-b", "1,1,9,9", "--each"], "--each goes with --point"),
    ],
)
def test_usage_errors(photo: Path, words: list[str], part: str) -> None:
    """Exit status 2, and the message says what was expected."""
    result = run("remove", photo, *words, "-o", "x.png")
    assert result.exit_code == 2
    assert part in result.stderr


def test_no_prompt(photo: Path) -> None:
    told(run("remove", photo, "-o", "x.png"), 1, "no prompt", "-p")


def test_black_mask(photo: Path, tmp_path: Path) -> None:
    Pillow.new("L", SIZE[::-1]).save(tmp_path / "m.png")
    told(
        run("remove", photo, "--mask", tmp_path / "m.png", "-o", tmp_path / "x.png"), 4, "photo.png"
    )
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("inpainter", ["exemplar", "telea", "ns"])
def test_white_mask(photo: Path, tmp_path: Path, inpainter: str) -> None:
    """Nothing is left to fill from: still a picture of the right size."""
    Pillow.new("L", SIZE[::-1], 255).save(tmp_path / "m.png")
    out = tmp_path / "x.png"
    words = ["--mask", tmp_path / "m.png", "--inpainter", inpainter, "-o", out]
    assert run("remove", photo, *words).exit_code == 0
    assert loaded(out).shape == (*SIZE, 3)


def test_mask_of_another_size(photo: Path, tmp_path: Path) -> None:
    mask = tmp_path / "m.png"
    Pillow.new("L", (80, 60), 255).save(mask)
    words = ["remove", photo, "--mask", mask, "-o", tmp_path / "x.png", "--inpainter", "telea"]
    told(run(*words), 1, "m.png", "160x120", "80x60", "--resize-mask")
    assert run(*words, "--resize-mask").exit_code == 0


@pytest.mark.parametrize("word", ["detector", "inpainter"])
def test_unknown_names_list_the_known(photo: Path, tmp_path: Path, word: str) -> None:
    result = run("remove", photo, "-p", "80,60", f"--{word}", "magic", "-o", tmp_path / "x.png")
    told(result, 1, "magic", "auto", "sam-vit-b" if word == "detector" else "exemplar")


@pytest.mark.parametrize(
    ("word", "name", "data"),
    [
        ("detector", "fake.safetensors", b"not weights"),
        ("inpainter", "fake.safetensors", b"not weights"),
        ("detector", "fake.pth", b"hello, not weights\n"),  # opcodes of a pickle, by chance
        ("detector", "fake.txt", b""),
    ],
)
def test_a_checkpoint_that_is_none(
    photo: Path, tmp_path: Path, word: str, name: str, data: bytes
) -> None:
    fake = tmp_path / name
    fake.write_bytes(data)
    result = run("remove", photo, "-p", "80,60", f"--{word}", fake, "-o", tmp_path / "x.png")
    told(result, 1, name)


def test_a_model_that_is_not_here(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named but absent: nothing is fetched, the command that would is told."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    result = run(
        "remove", photo, "-p", "80,60", "--detector", "sam-vit-h", "-o", tmp_path / "x.png"
    )
    told(result, 1, "segment2inpaint models download sam-vit-h", "2.6 GB")


def test_replace_needs_to_know_with_what(photo: Path, tmp_path: Path) -> None:
    result = run("replace", photo, "-p", "80,60", "-o", tmp_path / "x.png")
    assert result.exit_code == 2
    assert "--prompt" in result.stderr


def test_the_photo_is_not_overwritten(photo: Path, tmp_path: Path) -> None:
    before = photo.read_bytes()
    words = ["remove", photo, "-p", "80,60", "--inpainter", "telea", "-o", photo]
    told(run(*words), 1, "photo.png", "--overwrite")
    assert photo.read_bytes() == before
    assert run(*words, "--overwrite").exit_code == 0
    assert photo.read_bytes() != before


@pytest.mark.parametrize("option", ["--save-mask", "--preview"])
def test_other_outputs_do_not_overwrite_the_photo_either(
    photo: Path, tmp_path: Path, option: str
) -> None:
    before = photo.read_bytes()
    told(
        run("remove", photo, "-p", "80,60", "-o", tmp_path / "x.png", option, photo), 1, "photo.png"
    )
    assert photo.read_bytes() == before


@pytest.mark.parametrize("option", ["-o", "--save-mask", "--preview"])
@pytest.mark.parametrize("name", ["mask", "plate", "picture", "request"])
def test_no_output_overwrites_another_input(
    photo: Path, tmp_path: Path, option: str, name: str
) -> None:
    inputs = {n: tmp_path / f"{n}.png" for n in ("mask", "plate", "picture", "request")}
    for file in inputs.values():
        Pillow.fromarray(scene()).save(file)
    words = ["--mask", inputs["mask"], "--plate", inputs["plate"], "--with", inputs["picture"]]
    if name == "request":
        wanted = {"prompts": [{"mask": str(inputs["mask"])}], "inpainter": "telea"}
        inputs["request"].write_text(json.dumps(wanted))
        words = ["--request", inputs["request"]]
    before = inputs[name].read_bytes()
    out = {"-o": tmp_path / "x.png", option: inputs[name]}
    targets = [word for pair in out.items() for word in pair]
    told(run("replace", photo, *words, *targets), 1, f"{name}.png", "--overwrite")
    assert inputs[name].read_bytes() == before


def test_a_name_that_cannot_be(photo: Path, tmp_path: Path) -> None:
    words = ["remove", photo, "-p", "80,60", "-o", tmp_path / f"{'x' * 300}.png"]
    told(run(*words), 1, "cannot be written: File name too long")


def test_numbers_are_not_written_with_losses(photo: Path, tmp_path: Path) -> None:
    """A JPEG would make other numbers of them."""
    result = run("mask", photo, "--everything", "-o", tmp_path / "n.jpg")
    assert result.exit_code == 2
    assert "lossless" in result.stderr
    assert not (tmp_path / "n.jpg").exists()


def test_what_a_mask_came_to_is_told(photo: Path, tmp_path: Path) -> None:
    result = run("mask", photo, "--color", "80,60", "-o", tmp_path / "m.png")
    (line,) = result.stderr.splitlines()
    assert "m.png: 1 object, 3." in line
    assert "% of the photo (color)" in line


def test_holes_of_an_own_mask_stay(photo: Path, tmp_path: Path) -> None:
    """It says all of what is meant: here the background, and not the disc in it."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    disc = (x - DISC[0]) ** 2 + (y - DISC[1]) ** 2 < 15**2
    Pillow.fromarray(np.where(disc, 0, 255).astype(np.uint8)).save(tmp_path / "m.png")
    words = ["remove", photo, "--mask", tmp_path / "m.png", "--inpainter", "telea"]
    out = tmp_path / "o.png"
    assert run(*words, "--dilate", "0px", "-o", out).exit_code == 0
    assert (loaded(out) == scene())[disc].all()
    assert run(*words, "--invert", "-o", out).exit_code == 0
    assert (loaded(out) == scene())[:30].all()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_standard_output(photo: Path) -> None:
    code = "import sys; sys.stdout = open('/dev/full', 'w'); from segment2inpaint.cli import main; "
    words = ["mask", str(photo), "--color", "80,60", "-o", "-"]
    made = subprocess.run(
        [sys.executable, "-c", f"{code}main({words!r})"], stderr=subprocess.PIPE, text=True
    )
    assert made.returncode == 1
    assert "error: No space left on device" in made.stderr
    assert "Traceback" not in made.stderr


def test_two_outputs_in_one_file(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.png"
    result = run("remove", photo, "-p", "80,60", "-o", out, "--preview", out)
    assert result.exit_code == 2


def test_a_format_that_cannot_hold_the_photo_is_refused_before_the_work(tmp_path: Path) -> None:
    clear = np.dstack([scene(), np.full(SIZE, 99, np.uint8)])
    Pillow.fromarray(clear).save(tmp_path / "clear.png")
    Pillow.new("RGB", (16_384, 1)).save(tmp_path / "long.png")
    for name, out, part in (
        ("clear.png", "x.jpg", "JPEG cannot hold the photo's transparency; write .png"),
        ("long.png", "x.webp", "WEBP holds at most 16383 px a side, the photo has 16384x1"),
    ):
        words = ["remove", tmp_path / name, "-p", "0,0", "--detector", "none", "-o"]
        told(run(*words, tmp_path / out), 1, out, part)


def test_names_are_told_in_one_line(photo: Path, tmp_path: Path) -> None:
    """A name may hold a line break, and what commands a terminal."""
    out = tmp_path / "a\nb\x1b[31m.png"
    result = run("remove", photo, "--color", "80,60", "--inpainter", "telea", "-o", out)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert "a\\nb\\x1b[31m.png: 1 object" in line
    told(run("remove", tmp_path / "c\nd.png", "-o", out), 1, "c\\nd.png: no such file")


def test_unknown_output_format(photo: Path, tmp_path: Path) -> None:
    told(run("remove", photo, "-p", "80,60", "-o", tmp_path / "x.gif"), 1, "x.gif", ".png")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_full_disk(photo: Path) -> None:
    """A device that is always full: one line, status 1."""
    link = photo.parent / "full.png"
    link.symlink_to("/dev/full")
    words = ["-p", "80,60", "--inpainter", "telea", "-o", link]
    told(run("remove", photo, *words), 1, "full.png", "No space left")


def test_ctrl_c_leaves_no_partial_file(tmp_path: Path) -> None:
    """Interrupted at work: status 130, one line, nothing written."""
    rng = np.random.default_rng(0)
    path, mask = tmp_path / "big.png", tmp_path / "mask.png"
    Pillow.fromarray(rng.integers(0, 256, (1500, 1500, 3), np.uint8)).save(path)
    Pillow.fromarray(np.pad(np.full((1100, 1100), 255, np.uint8), 200)).save(mask)
    out = tmp_path / "out" / "big.png"
    words = [sys.executable, "-m", "segment2inpaint", "remove", str(path), "--mask", str(mask)]
    process = subprocess.Popen([*words, "-o", str(out)], stderr=subprocess.PIPE, text=True)
    assert process.stderr
    while "filling" not in (line := process.stderr.readline()):
        assert line, "it ended before it could be interrupted"
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait() == 130, rest
    assert "stopped" in rest
    assert "Traceback" not in rest
    assert not out.parent.exists() or not list(out.parent.iterdir())


# --- help, models, doctor --------------------------------------------------------------------


@pytest.mark.parametrize("command", [[], ["remove"], ["replace"], ["mask"], ["models"], ["doctor"]])
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    """--help answers without OpenCV or torch."""
    words = ", ".join(repr(w) for w in [*command, "--help"])
    code = (
        "import sys\nfrom segment2inpaint.cli import main\n"
        f"try: main([{words}])\nexcept SystemExit: pass\n"
        "print({'cv2', 'torch', 'PIL', 'numba'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"
    assert "Usage" in done.stdout


def test_the_weightless_way_needs_no_torch(photo: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom segment2inpaint.cli import main\n"
        f"try: main(['remove', {str(photo)!r}, '-p', '80,60', '-o', {str(tmp_path / 'o.png')!r}])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print({'torch', 'transformers', 'diffusers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_missing_library_is_told_in_one_line() -> None:
    """OpenCV on a slim container: the line says what to install."""
    from segment2inpaint.cli import ErrorGroup

    class Slim(ErrorGroup):
        def resolve_command(self, *_: object) -> None:  # type: ignore[override]
            raise ImportError("libGL.so.1: cannot open shared object file: No such file")

    told(CliRunner().invoke(Slim("slim"), ["remove"]), 1, "libGL.so.1", "apt install libgl1")


# --- whether it worked ------------------------------------------------------------------------


def test_the_verdict_is_told(photo: Path, tmp_path: Path) -> None:
    result = run("remove", photo, "-p", "80,60", "-o", tmp_path / "out.png", "--json")
    report = json.loads(result.stdout)
    assert report["verdict"] in ("clean", "doubtful", "failed")
    assert report["verdict"] in result.stderr
    assert {"name", "score", "threshold", "failed", "sentence"} == set(report["checks"][0])
    (kept,) = [attempt for attempt in report["attempts"] if attempt["kept"]]
    assert kept["verdict"] == report["verdict"]


def test_strict_fails_where_the_result_did_but_writes_it(photo: Path, tmp_path: Path) -> None:
    """Half a mask leaves half the disc: no inpainter can help, and the dilation is fixed."""
    half = np.zeros(SIZE, np.uint8)
    half[45:76, 65:80] = 255
    Pillow.fromarray(half).save(tmp_path / "half.png")
    words = ("remove", photo, "--mask", tmp_path / "half.png", "--dilate", "2px", "--attempts", 1)
    out = tmp_path / "out.png"
    assert run(*words, "-o", out).exit_code == 0
    strict = run(*words, "-o", out, "--overwrite", "--strict")
    assert strict.exit_code == 1
    assert "failed" in strict.stderr
    assert out.exists()
    assert run(*words, "-o", out, "--overwrite", "--strict", "--no-verify").exit_code == 0


# --- candidates ---------------------------------------------------------------------------------


def test_candidates_are_numbered_ranked_and_shown(photo: Path, tmp_path: Path) -> None:
    """The best first, each with its reasons, and a sheet of all."""
    out = tmp_path / "out.png"
    box = ",".join(map(str, DISC_BOX))
    result = run("remove", photo, "-b", box, "--candidates", 2, "--json", "-o", out)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)["candidates"]
    assert [one["rank"] for one in told] == [1, 2]
    files = [tmp_path / "out-1.png", tmp_path / "out-2.png"]
    assert [one["output"] for one in told] == [str(file) for file in files]
    assert (loaded(files[0]) != loaded(files[1])).any()
    assert loaded(tmp_path / "out-candidates.jpg").shape[1] > loaded(photo).shape[1]
    assert not out.exists()
    lines = [line for line in result.stderr.splitlines() if line[:1] in "12"]
    assert [line[:3] for line in lines] == ["1  ", "2  "]
    assert all("exemplar, seed" in line for line in lines)


def test_the_candidates_that_are_kept(photo: Path, tmp_path: Path) -> None:
    """One of them is OUT itself."""
    out = tmp_path / "out.png"
    box = ",".join(map(str, DISC_BOX))
    words = ["remove", photo, "-b", box, "--inpainter", "telea", "--candidates", 2]
    result = run(*words, "--keep", 2, "-o", out)
    assert result.exit_code == 0, result.output
    assert out.exists()
    assert not (tmp_path / "out-2.png").exists()
    assert "not kept" in result.stderr


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--keep", "2"], "ranks from 1 to 1"),
        (["--candidates", "2", "--keep", "0,1"], "ranks from 1 to 2"),
        (["--candidates", "2", "--keep", "one"], "expected numbers"),
    ],
)
def test_keep_out_of_range(photo: Path, tmp_path: Path, words: list[str], part: str) -> None:
    result = run("remove", photo, "-p", "80,60", *words, "-o", tmp_path / "out.png")
    assert result.exit_code == 2
    assert part in result.stderr


def test_one_candidate_goes_to_standard_output(photo: Path) -> None:
    result = run("remove", photo, "-p", "80,60", "--candidates", 2, "-o", "-")
    assert result.exit_code == 2
    assert "--keep" in result.stderr


def test_offloading_from_a_cpu(tmp_path: Path, photo: Path) -> None:
    tiny.stable_diffusion().save_pretrained(tmp_path / "sd")
    result = run("remove", photo, "-b", "66,46,95,75", "--inpainter", tmp_path / "sd",
                 "--device", "cpu", "--offload", "model", "-o", tmp_path / "out.png")  # fmt: skip
    told(result, 1, "--offload model keeps weights off a GPU")
