"""Anything that yields posed frames without a robot."""
