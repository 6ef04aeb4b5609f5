"""What a ranker reads from disk: features, stored contexts, checkpoints."""
