"""The feature store: one encoder's rows of every video."""
