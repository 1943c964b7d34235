"""Detectors that read words."""
