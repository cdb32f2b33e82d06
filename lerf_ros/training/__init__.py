"""Keyframes to weights."""
