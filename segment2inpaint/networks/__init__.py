"""The small networks that ship with the package, and how they are run."""
