"""Say how good the answers are: collect them from a service or a run file, measure, report.

runfile     answers on disk, stage by stage
service     answers of a running service
report      answers + truth -> figures
chance      what blind guessing reaches
plot        the figures as a chart
"""
