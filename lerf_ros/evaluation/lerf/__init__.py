"""LERF's own protocol and that of LERF-OVS, on folders with labelled pictures."""
