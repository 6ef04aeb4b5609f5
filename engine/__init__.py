"""The coordinator: encode, retrieve, propose, rank. Never imports torch or faiss."""
