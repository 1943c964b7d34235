"""Flat scenes: drawn shapes over one another, with labels."""
