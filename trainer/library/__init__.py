"""The library: adds, deletes and compacts, snapshots and restores; the only writer of a collection."""
