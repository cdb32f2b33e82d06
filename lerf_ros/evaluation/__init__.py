"""Benchmark scenes, metrics and reports."""
