"""Work on many machines, on an engine that exists: Ray Core. Only control messages travel through it."""
