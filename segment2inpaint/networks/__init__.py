"""Run the small networks that ship with the package: the click network and those of ``find``."""
