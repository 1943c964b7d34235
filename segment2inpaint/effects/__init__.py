"""Effects of an object on the picture: its shadow, its mirror image, what an editor changed."""
