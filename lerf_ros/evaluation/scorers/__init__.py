"""Scorers of public benchmarks of open-vocabulary 3D maps, their files, and a map's answers."""
