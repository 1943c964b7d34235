"""The detector that needs no download: small networks, superpixels and a random walker."""
