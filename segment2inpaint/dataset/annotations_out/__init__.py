"""Writers of annotations: a file for each format, and what they share."""
