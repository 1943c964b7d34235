"""Find objects of a kind without words: lines of text, and faces."""
