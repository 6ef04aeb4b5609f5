"""What each stage of a search costs on this machine, beside the published way and the physical floor.

    python -m bench rank --sizes quick --cache build/bench --threads 2     one stage, one JSON object

Every stage is a function of a `Setup` in a process of its own: its threads are fixed before any library
loads, and the memory of one stage does not weigh on the next. `bench.run` runs them and puts their
figures together; the report, the plots and the committed page are made from that one JSON file alone.
"""
