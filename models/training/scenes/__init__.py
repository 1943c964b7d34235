"""Flat scenes, drawn: objects of shapes and textures over one another."""
