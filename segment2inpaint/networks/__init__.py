"""Run the small networks that ship with the package: the click network and the saliency network."""
