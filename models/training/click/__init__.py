"""Training of the network that finds the object at clicks and boxes."""
