"""Tests of the names of inpainters."""

from __future__ import annotations

from pathlib import Path

from segment2inpaint.inpaint import split_name


def test_a_name_is_split_into_model_base_and_lora() -> None:
    assert split_name("sd15-inpaint") == ("sd15-inpaint", "", "")
    assert split_name("sd15-inpaint+lcm-sd15") == ("sd15-inpaint", "", "lcm-sd15")
    assert split_name("a+b.safetensors@org/x") == ("a+b.safetensors", "org/x", "")
    assert split_name("a.safetensors@sd15-inpaint+lcm-sd15") == (
        "a.safetensors",
        "sd15-inpaint",
        "lcm-sd15",
    )


def test_an_existing_path_is_not_split(tmp_path: Path) -> None:
    (tmp_path / "a+b@c.safetensors").touch()
    assert split_name(str(tmp_path / "a+b@c.safetensors"))[1:] == ("", "")
