"""``python -m segment2inpaint``."""

from .cli import main

main(prog_name="segment2inpaint")
