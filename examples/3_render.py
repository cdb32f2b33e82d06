"""Draws a saved map from a pose of your choice: 3_render.py MAP PICTURE."""

import sys
from pathlib import Path

import numpy as np

from lerf_ros.config import LerfConfig
from lerf_ros.drawing.heat_maps import depth_picture
from lerf_ros.drawing.panels import save
from lerf_ros.geometry import PinholeCamera, look_at
from lerf_ros.maps.submap import Submap

file, picture = sys.argv[1:3]
submap = Submap(LerfConfig())
submap.load(file)
camera_to_world = look_at(np.array([0.5, -0.5, 0.5]), np.zeros(3))
view = submap.render(PinholeCamera.from_vertical_fov(320, 240, 50.0), camera_to_world)
save(np.concatenate([view.image, depth_picture(view.depth_m)], axis=1), Path(picture))
