"""A world of real video files in which things happen, with captions and judged queries.

`planner` decides what happens in a `plan`, `stage` where things are at a time, `draw` what that looks like,
`film` writes MP4 and SRT, `language` says it, `questions` ask for it, `judge` grades them, `annotate` writes
that down, `build` does all of it for a directory.
"""
