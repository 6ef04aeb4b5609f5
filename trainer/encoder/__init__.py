"""Training of a small CLIP on a rendered world."""
