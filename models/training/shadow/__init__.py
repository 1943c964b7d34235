"""The network that finds shadows and mirror images."""
