"""Training of the dual projectors (stage 1)."""
