"""Ask a robot's live map, in words, where things are."""

__version__ = '0.1.0'
