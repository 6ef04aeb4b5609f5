"""What is found, and what each part is worth: `python -m recipes.quality` prints the tables of the docs.

Test is in docs/quality.md, the ablation in docs/experiments/2026-11-ranker-ablation.md, the first stage in
docs/experiments/2026-11-first-stage.md.
"""
