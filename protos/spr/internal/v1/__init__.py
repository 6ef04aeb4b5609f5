"""Generated wire types; `make protos` makes them anew."""
