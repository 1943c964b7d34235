"""The export of U²-Net-P."""
