"""Detectors that find boxes by words and leave the masks to another detector."""
