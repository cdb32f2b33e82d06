"""What is seen: the surface cloud, what stands on what, views of it."""
