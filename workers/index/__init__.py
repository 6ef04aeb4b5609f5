"""The index worker: one shard of a version behind FAISS."""

from engine.cores import choose_kernels

choose_kernels()
