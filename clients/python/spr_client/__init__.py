"""The Python client of SPR."""
