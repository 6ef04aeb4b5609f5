"""The ranker worker: model definitions, featurisation, query encoding and ranking on torch."""
