"""Checks of a finished result, and the verdict that follows from them."""
