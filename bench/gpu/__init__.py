"""What a GPU does, `make gpu`: its tests, then tables. Each part has a process and a deadline."""
