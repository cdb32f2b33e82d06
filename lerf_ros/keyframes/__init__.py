"""What the map remembers of each keyframe, and what of it is where."""
