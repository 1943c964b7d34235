"""``python -m segment2inpaint``."""

from segment2inpaint.cli import main

main(prog_name="segment2inpaint")
