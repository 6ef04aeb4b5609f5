"""Training of the ReLo ranker (stage 3 of arXiv 2501.05072)."""
