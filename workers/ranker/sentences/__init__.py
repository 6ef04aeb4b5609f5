"""Sentence encoders: texts to vectors of their meaning."""
