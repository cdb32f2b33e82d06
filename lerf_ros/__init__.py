"""Ask a robot's live map, in words, where things are."""

import os
from pkgutil import extend_path

# OpenMP reads this once, when torch loads it. By default its idle threads spin: where the camera,
# the nodes and the training share a few cores, a training step then takes 20 times as long.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
# NumPy's products here are small: a plane's 64 candidates against a patch take 1.4 ms, and 22 ms
# where OpenBLAS spreads them over cores that are busy. It reads this once, when NumPy loads it.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')

__version__ = '0.1.0'

# The generated messages, lerf_ros.msg and lerf_ros.srv, lie in the workspace's folder, which may
# be another one than that of these modules.
__path__ = extend_path(__path__, __name__)
