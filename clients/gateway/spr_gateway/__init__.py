"""The web page and its gateway: look for moments, play them, see why they were found."""
