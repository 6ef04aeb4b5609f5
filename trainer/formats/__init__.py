"""Other people's data formats, in and out of a collection."""
