"""The network of clicks and boxes."""
