"""Everything offline: rendered worlds, ingest, training, builds, evaluation."""
