"""Find models by name: cards, files on this machine, downloads, and the device they run on."""
