"""What is found, and what each part is worth: `python -m trainer.quality` prints docs/quality.md's tables."""
