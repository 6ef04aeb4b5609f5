"""The stages of the benchmark, each a function `run(setup) -> Outcome` in a module of its own."""
