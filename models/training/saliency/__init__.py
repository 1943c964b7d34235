"""Export of U²-Net-P, the network that finds salient objects."""
