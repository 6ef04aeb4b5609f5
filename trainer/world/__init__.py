"""A world of real video files in which things happen, with captions and judged queries.

`plan` decides what happens, `stage` where things are at a time, `draw` what that looks like, `film` writes
MP4 and SRT, `language` says it, `judge` grades it, `build` does all of it for a directory.
"""
