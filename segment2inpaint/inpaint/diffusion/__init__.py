"""Diffusion models, run by diffusers."""
