"""What goes with an object: shadow, mirror image, an editor's side changes."""
