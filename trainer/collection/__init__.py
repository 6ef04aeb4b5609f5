"""A collection on disk as training and building read it: places, annotations, queries, segments."""
