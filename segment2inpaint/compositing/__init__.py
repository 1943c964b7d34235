"""Objects on other grounds: soft edges, cutouts, backgrounds, compositions."""
