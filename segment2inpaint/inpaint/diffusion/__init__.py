"""Diffusion models, run by the diffusers library."""
