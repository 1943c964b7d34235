"""Staged scenes: bodies in light, ray-traced."""
