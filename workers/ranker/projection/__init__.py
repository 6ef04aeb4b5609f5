"""From frame rows and sentences into the space of the index."""
