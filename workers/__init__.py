"""Worker processes and the data they share: the index shard, the ranker, the feature store."""
