"""What an ingest spread with Ray costs, and what a death costs it: `python -m recipes.spread`."""
