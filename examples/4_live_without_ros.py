"""Asks a map while it grows from a camera, without ROS: 4_live_without_ros.py [FRAMES]."""

import sys
import time

from lerf_ros.config import LerfConfig
from lerf_ros.query.request import QueryRequest
from lerf_ros.runtime.host import MapHost
from lerf_ros.simulation import TabletopScene

count = int(sys.argv[1]) if len(sys.argv) > 1 else 30
host = MapHost(LerfConfig())
with TabletopScene(seed=9003) as scene:
    phrase = scene.objects[0].name
    for index, frame in enumerate(scene.frames('orbit', seconds=count / 2, rate_hz=2)):
        host.intake.take(lambda frame=frame: frame, 'camera', index)
        while host.intake.integrated <= index:
            time.sleep(0.01)  # a camera would go on, and what is too much be dropped
        if index % 10 == 9:
            answer = host.ask(QueryRequest((phrase,))).result(timeout=60)
            place = answer.results[0].maxima[0].position_m.round(3)
            print(f'step {answer.step}: {phrase} at {place} m')
host.stop(timeout_s=10)
