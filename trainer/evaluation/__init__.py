"""Measure how good the answers are: collect them from a service or a run file, measure, report.

evaluation  the whole of it, from a configuration
runfile     answers on disk, stage by stage
service     answers of a running service
offline     answers of a version in this process
judged      a query's ranked and judged moments as columns; when a moment is right
matching    predictions matched with judged moments, on arrays
generalised queries with no, one or several moments
measures    measures as values
scores      every figure of every query, as an array
retrieval   recall of videos and segments
resample    bootstrap intervals and paired tests
ceiling     what perfect ranking would make of the proposals
calibration whether a confidence means what it says
report      answers + truth -> figures
compare     two runs on the same truth -> difference, interval, p
chance      what blind guessing reaches
plot        the figures as charts
"""
