"""What is found, and what each part is worth: `python -m recipes.quality` prints docs/quality.md's tables."""
