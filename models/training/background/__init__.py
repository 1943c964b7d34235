"""The background network: MI-GAN, converted from its published file."""
