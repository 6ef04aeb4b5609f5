"""Standing searches: what is added to a collection is judged, and what matches is told, each match once."""
