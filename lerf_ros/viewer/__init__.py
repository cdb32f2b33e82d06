"""The map on a web page: see it, ask it, steer it; no ROS needed."""
