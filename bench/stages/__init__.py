"""The stages of the benchmark, each a function `run(context) -> Outcome` in a module of its own."""
