"""The writer of a living corpus: add, delete and compact, in the foreground or as a service's process."""
