"""Conversion of the published network that finds objects of eighty kinds."""
