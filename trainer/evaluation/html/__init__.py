"""Reports and comparisons as one HTML file each, which needs nothing beside it."""
