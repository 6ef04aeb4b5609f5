"""The index worker: one shard of a version behind FAISS."""
