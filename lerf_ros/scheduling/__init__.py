"""Threads in general: a worker, long work in pieces, rates."""
