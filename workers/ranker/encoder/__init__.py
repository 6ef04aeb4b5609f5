"""The encoder: frames and sentences into vectors."""
