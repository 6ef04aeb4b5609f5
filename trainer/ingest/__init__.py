"""Video files to features: decode, sample, encode, store."""
