"""The ROS 2 nodes and clients."""
