"""What a corpus of a size needs: shards, replicas, memory, disk, hours and money, from measured constants."""
