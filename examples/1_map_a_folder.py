"""Maps a recorded RGB-D folder (7-Scenes format): 1_map_a_folder.py FOLDER MAP [STEPS]."""

import sys

from lerf_ros.config import LerfConfig
from lerf_ros.maps.submap import Submap
from lerf_ros.sources.rgbd import RgbdFolder

folder, file = sys.argv[1:3]
steps = int(sys.argv[3]) if len(sys.argv) > 3 else 500
submap = Submap(LerfConfig())
for frame in RgbdFolder(folder, downscale=2):
    submap.ingest(frame)
for _ in range(steps):
    report = submap.step()
submap.save(file)
print(f'{file}: {submap.surface_points} surface points, loss {report.loss:.4f}')
