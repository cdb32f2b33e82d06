"""Subcommands of the `lerf_ros` console script that need no ROS."""
