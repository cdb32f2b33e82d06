"""Positions to density, colour and language; knows no image and no encoder."""
