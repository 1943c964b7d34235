"""The detector that needs no download: the click network that ships with the package."""
