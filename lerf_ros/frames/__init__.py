"""Pictures with a pose, from the moment they are decoded: one way for live messages and files."""

from lerf_ros.frames.frame import Keyframe, KeyframeId, PosedFrame
from lerf_ros.frames.selection import KeyframeSelector

__all__ = ['Keyframe', 'KeyframeId', 'KeyframeSelector', 'PosedFrame']
