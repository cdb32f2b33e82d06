"""Every model of open_clip as a language encoder."""
