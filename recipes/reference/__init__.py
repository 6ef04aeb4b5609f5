"""The API reference in docs/api: written from the comments of the protos and the client's docstrings."""
