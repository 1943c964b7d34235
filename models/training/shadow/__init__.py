"""Training of the network that finds shadows and reflections."""
