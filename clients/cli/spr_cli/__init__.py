"""The `spr` command."""
