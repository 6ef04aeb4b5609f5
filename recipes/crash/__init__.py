"""A seeded crasher: processes die, stall and slow at random while a collection changes: `make crash`."""
