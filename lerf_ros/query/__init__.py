"""Phrases to places; reads the field, never trains it."""
