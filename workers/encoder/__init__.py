"""Queries to vectors, in a process of its own: a ranker worker that holds no shard."""
