"""The exemplar-based fill: PatchMatch over an image pyramid, then gradient-domain blending."""
