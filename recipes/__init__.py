"""Whole runs made of `spr` commands: the demo, the tables of quality."""
