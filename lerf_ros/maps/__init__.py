"""A map: keyframes in, answers out, and its file."""
