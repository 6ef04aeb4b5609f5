"""The index worker: one shard of a generation behind FAISS."""
