"""Speech to text: a transcript for videos that have no subtitles."""
