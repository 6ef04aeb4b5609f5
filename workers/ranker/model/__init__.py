"""The ranking models: definitions, and the windows they read."""
