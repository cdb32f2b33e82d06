"""Asks a saved map where things are: 2_ask.py MAP PHRASE..."""

import sys

from lerf_ros.config import LerfConfig
from lerf_ros.maps.submap import Submap
from lerf_ros.query.request import QueryRequest

file, *phrases = sys.argv[1:]
submap = Submap(LerfConfig())
submap.load(file)
for result in submap.query(QueryRequest(tuple(phrases))):
    print(f'{result.phrase}: there with confidence {result.confidence:.2f}')
    for maximum in result.maxima:
        x, y, z = maximum.position_m
        print(f'    relevancy {maximum.relevancy:.2f} at {x:.3f} {y:.3f} {z:.3f} m')
