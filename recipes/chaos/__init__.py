"""Faults against a real service, each with the outcome that is declared for it: `make chaos`."""
