"""The flat: a robot walks through rooms, and is asked where things are."""
