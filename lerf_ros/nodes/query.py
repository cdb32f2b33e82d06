"""Asks a running map where something is: a client for people.

``lerf_ros query "red mug"``, or ``ros2 run lerf_ros query "red mug"``; ``--exemplar mug.jpg`` asks
by a picture.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header

from lerf_ros.bridge.clouds import cloud_array, cloud_colours
from lerf_ros.bridge.images import image_message
from lerf_ros.drawing.heat_maps import heated
from lerf_ros.drawing.marks import mark_place
from lerf_ros.drawing.panels import labelled, save
from lerf_ros.frames.image_files import read_rgb
from lerf_ros.geometry import PinholeCamera, look_at
from lerf_ros.nodes.map_client import MapClient

# Nothing looks like it, or the map does not have it.
NOT_FOUND = 1
# The question could not be asked or answered.
REFUSED = 2
STATUS_S = 5.0
PICTURE_CAMERA = PinholeCamera.from_vertical_fov(480, 360, 50.0)
PLY_TYPES = (
    ('x', '<f4', 'float'),
    ('y', '<f4', 'float'),
    ('z', '<f4', 'float'),
    ('red', 'u1', 'uchar'),
    ('green', 'u1', 'uchar'),
    ('blue', 'u1', 'uchar'),
    ('relevancy', '<f4', 'float'),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument('phrases', nargs='*', help='"red mug", or "mug; handle" for a part')
    parser.add_argument(
        '--exemplar',
        action='append',
        default=[],
        metavar='IMAGE[:l,t,r,b]',
        help='look for what a picture shows, or for what is between left, top, right and bottom '
        'in it, px; repeatable',
    )
    parser.add_argument(
        '--negative', action='append', default=[], help='compare with this; repeatable'
    )
    parser.add_argument('--frame', default='', help='TF frame of the answer; default: the map')
    parser.add_argument('--max', type=int, default=3, help='most places for each phrase')
    parser.add_argument('--min-relevancy', type=float, default=0.0, help='leave out what is less')
    parser.add_argument('--namespace', default='lerf', help='namespace of the field node')
    parser.add_argument('--timeout', type=float, default=30.0, help='seconds to wait')
    parser.add_argument('--json', action='store_true', help='print JSON instead of a table')
    parser.add_argument('--save', type=Path, help="write the first phrase's cloud to this .ply")
    parser.add_argument('--image', type=Path, help='draw the best place of the first phrase')


def run(arguments: argparse.Namespace) -> int:
    """Asks and prints; returns 0 if every phrase is in the map, 1 if one is not, 2 on errors."""
    if not arguments.phrases and not arguments.exemplar:
        print('query: expected a phrase or --exemplar, got neither', file=sys.stderr)
        return REFUSED
    try:
        pictures = [read_exemplar(text) for text in arguments.exemplar]
    except (OSError, ValueError) as error:
        print(f'query: {error}', file=sys.stderr)
        return REFUSED
    with MapClient(arguments.namespace) as client:
        try:
            client.wait_for_service(arguments.timeout)
            response = client.query(
                arguments.phrases,
                arguments.timeout,
                exemplars=[image for image, _ in pictures],
                exemplar_boxes=[box for _, box in pictures],
                negatives=arguments.negative,
                frame_id=arguments.frame,
                max_maxima=arguments.max,
                min_relevancy=arguments.min_relevancy,
                with_cloud=arguments.save is not None,
            )
            if not response.success:
                raise ValueError(response.message)
            # The node numbers pictures; a person knows them by their files.
            count = len(arguments.phrases)
            for result, name in zip(response.results[count:], arguments.exemplar, strict=True):
                result.phrase = Path(name).name
            if arguments.save is not None:
                write_ply(arguments.save, cloud_array(response.results[0].cloud))
            if arguments.image is not None:
                phrase = response.results[0].phrase if arguments.phrases else ''
                draw(client, response, arguments.image, phrase)
        except (TimeoutError, ValueError, RuntimeError, OSError) as error:
            print(f'query: {error}', file=sys.stderr)
            return REFUSED
    text = json.dumps(as_dict(response), indent=1) if arguments.json else table(response)
    print(text)
    return 0 if all(result.exists for result in response.results) else NOT_FOUND


def read_exemplar(text: str) -> tuple[Image, RegionOfInterest]:
    """Returns the picture of 'IMAGE' or 'IMAGE:l,t,r,b', and the box in it; no width is all.

    Raises:
        ValueError: The file holds no picture, or the box has no area.
        OSError: The file cannot be read.
    """
    path, box = text, RegionOfInterest()
    found = re.fullmatch(r'(.+):(\d+),(\d+),(\d+),(\d+)', text)
    if found:
        path = found.group(1)
        left, top, right, bottom = (int(number) for number in found.groups()[1:])
        if left >= right or top >= bottom:
            given = text.rpartition(':')[2]
            raise ValueError(f'--exemplar: expected left < right and top < bottom, got {given}')
        box = RegionOfInterest(
            x_offset=left, y_offset=top, width=right - left, height=bottom - top
        )
    return image_message(read_rgb(Path(path)), 'rgb8', Header()), box


def as_dict(response: Any) -> dict[str, Any]:
    """Returns an answer as plain data, metres."""
    stamp = response.header.stamp
    return {
        'frame_id': response.header.frame_id,
        'stamp': stamp.sec + stamp.nanosec * 1e-9,
        'step': response.step,
        'pose_epoch': response.pose_epoch,
        'results': [
            {
                'phrase': result.phrase,
                'exists': result.exists,
                'confidence': result.confidence,
                'doubt': result.doubt,
                'maxima': [
                    {
                        'position': _numbers(maximum.position),
                        'normal': _numbers(maximum.normal),
                        'relevancy': maximum.relevancy,
                        'scale': maximum.scale,
                        'box_size': _numbers(maximum.box_size),
                        'points': maximum.points,
                        'views': maximum.views,
                    }
                    for maximum in result.maxima
                ],
            }
            for result in response.results
        ],
    }


def table(response: Any) -> str:
    """Returns an answer for people."""
    lines = [f'step {response.step}, positions in metres in the frame {response.header.frame_id}']
    lines.append(
        f'{"phrase":<24}{"there?":<8}{"conf.":>6}   {"x":>7} {"y":>7} {"z":>7}   '
        f'{"relevancy":>9}   {"box":<17}{"views":>5}'
    )
    for result in response.results:
        name, there = result.phrase[:23], 'yes' if result.exists else 'no'
        head = f'{name:<24}{there:<8}{result.confidence:>6.2f}'
        if not result.maxima:
            lines.append(f'{head}   nothing looks like it')
        # Of what is not there, the nearest thing to it is all that one wants to see.
        for maximum in result.maxima if result.exists else result.maxima[:1]:
            place = ' '.join(f'{value:7.3f}' for value in _numbers(maximum.position))
            box = 'x'.join(f'{value:.2f}' for value in _numbers(maximum.box_size))
            lines.append(
                f'{head}   {place}   {maximum.relevancy:>9.2f}   {box:<17}{maximum.views:>5}'
            )
            head = ' ' * len(head)
        if result.doubt:
            lines.append(f'{"":<24}{result.doubt}')
    return '\n'.join(lines)


def _numbers(message: Any) -> list[float]:
    return [message.x, message.y, message.z]


def write_ply(path: Path, points: np.ndarray) -> None:
    """Writes a cloud as binary PLY with colour and relevancy.

    Raises:
        OSError: The file cannot be written.
    """
    vertices = np.empty(len(points), [(name, kind) for name, kind, _ in PLY_TYPES])
    for name in ('x', 'y', 'z', 'relevancy'):
        vertices[name] = points[name]
    for name, values in zip(('red', 'green', 'blue'), cloud_colours(points).T, strict=True):
        vertices[name] = values
    properties = ''.join(f'property {kind} {name}\n' for name, _, kind in PLY_TYPES)
    header = f'ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n{properties}'
    path.write_bytes(f'{header}end_header\n'.encode() + vertices.tobytes())


def draw(client: MapClient, response: Any, path: Path, phrase: str) -> None:
    """Draws the best place of the first answer as a camera saw it, with a mark.

    Args:
        client: Knows the map.
        response: The answers.
        path: The file.
        phrase: The phrase whose relevancy is drawn too; empty for none.

    Raises:
        ValueError: There is no such place.
        RuntimeError: The node could not draw it.
    """
    result = response.results[0]
    if not result.maxima or not response.viewpoints:
        raise ValueError(f'--image: nothing looks like {result.phrase!r}')
    if response.header.frame_id != client.wait_for_status(STATUS_S).header.frame_id:
        raise ValueError('--image: draws in the frame of the map only; leave --frame out')
    place = np.array(_numbers(result.maxima[0].position))
    camera_to_world = look_at(np.array(_numbers(response.viewpoints[0])), place)
    image, _, relevancy = client.render(PICTURE_CAMERA, camera_to_world, phrase)
    picture = mark_place(heated(image, relevancy), place, PICTURE_CAMERA, camera_to_world)
    save(labelled(picture, f'{result.phrase} {result.maxima[0].relevancy:.2f}'), path)


def main() -> int:
    """Runs the client under `ros2 run`; returns the exit status."""
    parser = argparse.ArgumentParser(prog='query', description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(remove_ros_args(sys.argv)[1:]))


if __name__ == '__main__':
    sys.exit(main())
