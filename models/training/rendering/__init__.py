"""Ray-traced scenes of random things, with labels."""
