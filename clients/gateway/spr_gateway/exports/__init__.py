"""Moments as files that other programs open: tables, chapters, timelines of editors, clips."""
