"""The keyframe node on real topics: the pose at the stamp; bad input refused; life goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from lerf_ros.bridge import qos
from lerf_ros.bridge.cameras import camera_info_message
from lerf_ros.bridge.images import image_message
from lerf_ros.bridge.keyframes import frame_of
from lerf_ros.bridge.poses import pose_message, stamp_message
from lerf_ros.frames import PosedFrame
from lerf_ros.geometry import PinholeCamera
from lerf_ros.msg import Keyframe as KeyframeMessage
from lerf_ros.nodes.keyframe_node import KeyframeNode
from lerf_ros.scheduling.inbox import Inbox

CAMERA = PinholeCamera(fx=60.0, fy=60.0, cx=32.0, cy=24.0, width=64, height=48)
RED = (200, 10, 20)


def at(x: float) -> np.ndarray:
    pose = np.eye(4)
    pose[0, 3] = x
    return pose


class Camera:
    """Publishes what a test says and collects the keyframes."""

    def __init__(self, helper: Node, node: KeyframeNode) -> None:
        self.node = node
        self.found: list[PosedFrame] = []
        self._now_ns = 1_000_000_000
        self._image = helper.create_publisher(Image, '/lerf/image', 10)
        self._info = helper.create_publisher(CameraInfo, '/lerf/camera_info', 10)
        self._depth = helper.create_publisher(Image, '/lerf/depth', 10)
        self._pose = helper.create_publisher(PoseStamped, '/lerf/pose', 10)
        helper.create_subscription(KeyframeMessage, '/lerf/keyframes', self._take, qos.KEYFRAMES)

    def _take(self, message: KeyframeMessage) -> None:
        self.found.append(frame_of(message, 'map'))

    def of(self, stamp_ns: int) -> list[PosedFrame]:
        return [frame for frame in self.found if frame.stamp_ns == stamp_ns]

    def ready(self) -> bool:
        publishers = (self._image, self._info, self._depth, self._pose)
        return all(publisher.get_subscription_count() for publisher in publishers)

    def next_stamp(self) -> int:
        self._now_ns += 200_000_000
        return self._now_ns

    def send_pose(self, pose: np.ndarray, stamp_ns: int, frame_id: str = 'map') -> None:
        header = Header(stamp=stamp_message(stamp_ns), frame_id=frame_id)
        self._pose.publish(PoseStamped(header=header, pose=pose_message(pose)))

    def send_raw_pose(self, message: PoseStamped) -> None:
        self._pose.publish(message)

    def send_image(
        self,
        stamp_ns: int,
        *,
        encoding: str = 'rgb8',
        info: CameraInfo | None = None,
        depth: Image | None = None,
        contrast: float = 1.0,
    ) -> None:
        header = Header(stamp=stamp_message(stamp_ns), frame_id='camera')
        picture = np.full((48, 64, 3), RED, np.uint8)
        picture[::8, ::8] = 255  # something sharp
        picture = (picture * contrast).astype(np.uint8)
        image = image_message(picture, 'rgb8', header)
        image.encoding = encoding
        info = info or camera_info_message(CAMERA, header)
        info.header = header
        depth = depth or image_message(np.full((48, 64), 1500, np.uint16), '16UC1', header)
        depth.header = header
        self._image.publish(image)
        self._info.publish(info)
        self._depth.publish(depth)

    def send(self, x: float, **parts: object) -> int:
        stamp_ns = self.next_stamp()
        self.send_pose(at(x), stamp_ns)
        self.send_image(stamp_ns, **parts)  # type: ignore[arg-type]
        return stamp_ns


@pytest.fixture(scope='module')
def camera(spinner: object, wait_until: Callable[..., None]) -> Camera:
    node = KeyframeNode()
    node.set_parameters([Parameter('keyframes.min_interval_s', value=0.0)])
    helper = Node('camera')
    result = Camera(helper, node)
    spinner.add(node)  # type: ignore[attr-defined]
    spinner.add(helper)  # type: ignore[attr-defined]
    wait_until(result.ready, 'the node subscribes')
    return result


@pytest.fixture(autouse=True)
def fresh(camera: Camera) -> None:
    camera.found.clear()


def test_a_frame_comes_out_as_it_went_in(camera: Camera, wait_until: Callable) -> None:
    stamp_ns = camera.send(10.0)
    wait_until(lambda: camera.found, 'a keyframe')
    frame = camera.found[0]
    assert frame.stamp_ns == stamp_ns
    assert frame.camera == CAMERA
    assert frame.frame_id == 'camera'
    np.testing.assert_allclose(frame.camera_to_world, at(10.0), atol=1e-9)
    assert np.abs(frame.image[28, 36].astype(int) - RED).max() < 6
    assert frame.depth is not None
    np.testing.assert_allclose(frame.depth, 1.5)


def test_the_pose_is_that_of_the_stamp_not_the_latest(
    camera: Camera, wait_until: Callable
) -> None:
    first, stamp_ns, last = (camera.next_stamp() for _ in range(3))
    camera.send_pose(at(20.0), first)
    camera.send_pose(at(22.0), last)
    camera.send_image(stamp_ns)
    wait_until(lambda: camera.found, 'a keyframe')
    assert camera.found[0].camera_to_world[0, 3] == pytest.approx(21.0)


def test_an_image_waits_for_its_pose(camera: Camera, wait_until: Callable) -> None:
    stamp_ns = camera.next_stamp()
    camera.send_image(stamp_ns)
    # Something that is certainly later than the image in the node's inbox.
    camera.send_pose(at(30.0), stamp_ns)
    wait_until(lambda: camera.found, 'a keyframe')
    assert camera.found[0].camera_to_world[0, 3] == pytest.approx(30.0)


def test_a_camera_at_rest_gives_no_second_keyframe(camera: Camera, wait_until: Callable) -> None:
    camera.send(40.0)
    camera.send(40.001)
    camera.send(41.0)
    wait_until(lambda: len(camera.found) >= 2, 'two keyframes')
    positions = [frame.camera_to_world[0, 3] for frame in camera.found]
    assert positions == pytest.approx([40.0, 41.0])


def walk(camera: Camera, wait_until: Callable, places: Iterable[float]) -> None:
    """Sends a frame from each place; a best-effort camera that does not wait would lose some."""
    image = camera.node._inputs['image']
    for x in places:
        heard = image.facts().heard
        camera.send(x)
        wait_until(lambda n=heard: image.facts().heard > n, 'the image')


def test_a_camera_that_returns_gives_only_what_is_new(
    camera: Camera, wait_until: Callable
) -> None:
    there = [2000 + 0.1 * number for number in range(12)]
    walk(camera, wait_until, there)
    wait_until(lambda: len(camera.found) == len(there), 'the way there')
    camera.found.clear()
    walk(camera, wait_until, [x - 0.02 for x in (*reversed(there), 1990.0)])
    wait_until(lambda: len(camera.of(camera._now_ns)) == 1, 'the last is new')
    # Of the way back none but its very end, whose frames say which way the camera comes from.
    positions = [frame.camera_to_world[0, 3] for frame in camera.found]
    assert min(positions[:-1], default=9999.0) > 2000.2
    assert camera.node._values()['finding'] == ''


def test_a_blurred_picture_waits_for_a_sharper_one(camera: Camera, wait_until: Callable) -> None:
    walk(camera, wait_until, range(3000, 3008))
    wait_until(lambda: len(camera.found) == 8, 'sharp pictures')
    camera.found.clear()
    blurred = camera.send(3010.0, contrast=0.1)
    sharp = camera.next_stamp()
    camera.send_pose(at(3010.1), sharp)
    camera.send_image(sharp)
    wait_until(lambda: camera.of(sharp), 'the sharper one')
    assert not camera.of(blurred)
    # Where no sharper one follows it is kept after all.
    blurred = camera.send(3020.0, contrast=0.1)
    wait_until(lambda: camera.of(blurred), 'the blurred one')


def uncalibrated() -> CameraInfo:
    return CameraInfo(width=64, height=48)


def half_size() -> CameraInfo:
    return camera_info_message(CAMERA.resized(32, 24))


def depth_of(height: int, width: int) -> Image:
    return image_message(np.full((height, width), 1500, np.uint16), '16UC1', Header())


@pytest.mark.parametrize(
    ('parts', 'kind', 'words'),
    [
        ({'encoding': 'mystery'}, 'rejected_images', 'mystery'),
        ({'encoding': '16UC1'}, 'rejected_images', 'depth'),
        ({'info': uncalibrated()}, 'rejected_images', 'uncalibrated'),
        ({'info': half_size()}, 'rejected_images', 'expected 32x24'),
    ],
)
def test_bad_images_are_refused_and_the_node_lives_on(
    camera: Camera, wait_until: Callable, parts: dict, kind: str, words: str
) -> None:
    health = camera.node._health
    before = health.counts[kind]
    camera.send(100.0 + before, **parts)
    wait_until(lambda: health.counts[kind] > before, 'a complaint')
    assert words in health.last_error
    assert not camera.found
    # At the very same place: what was refused does not stand in for it.
    camera.send(100.0 + before)
    wait_until(lambda: camera.found, 'a keyframe after the bad one')


class HeldInbox(Inbox):
    """Says that nothing waits until it is opened.

    Cancelling the timer that works it off would do, but for a race in rclpy: a timer cancelled by
    another thread just before it is called leaves its callback group busy for good.
    """

    opened = False

    def __bool__(self) -> bool:
        return self.opened and len(self) > 0


def test_what_waits_is_bounded_in_bytes_and_drops_are_counted(
    camera: Camera, wait_until: Callable
) -> None:
    node = camera.node
    usual = node._inbox
    image_bytes = 48 * 64 * 3
    held = node._inbox = HeldInbox(5 * image_bytes)
    try:

        def flood() -> bool:
            # Best effort: a busy machine hears only some of them, so they go on coming.
            camera.send(600.0)
            return node._values()['dropped_messages'] > 10

        wait_until(flood, 'drops are counted')
        assert held.held_bytes <= 5 * image_bytes
        assert 'faster' in node._health.last_error
    finally:
        held.opened = True
        wait_until(lambda: not len(held), 'the inbox is worked off')
        node._inbox = usual
    camera.found.clear()
    camera.send(610.0)
    wait_until(lambda: camera.found, 'a keyframe after the flood')


def test_depth_of_half_the_size_is_fitted(camera: Camera, wait_until: Callable) -> None:
    stamp_ns = camera.send(110.0, depth=depth_of(24, 32))
    wait_until(lambda: camera.of(stamp_ns), 'a keyframe')
    depth_m = camera.of(stamp_ns)[0].depth
    assert depth_m is not None
    assert depth_m.shape == (48, 64)
    np.testing.assert_allclose(depth_m, 1.5)


def test_depth_that_does_not_fit_costs_the_depth_only(
    camera: Camera, wait_until: Callable
) -> None:
    stamp_ns = camera.send(120.0, depth=depth_of(30, 32))
    wait_until(lambda: camera.of(stamp_ns), 'a keyframe')
    assert camera.of(stamp_ns)[0].depth is None
    assert 'register depth' in camera.node._health.last_error


def bad_pose(**changes: float) -> PoseStamped:
    message = PoseStamped(header=Header(frame_id='map'))
    for name, value in changes.items():
        target = message.pose.position if name == 'x' else message.pose.orientation
        setattr(target, name, value)
    return message


@pytest.mark.parametrize(
    ('message', 'words'),
    [
        (bad_pose(x=float('nan')), 'finite'),
        (bad_pose(w=0.0), 'unit length'),
        (bad_pose(w=3.0), 'unit length'),
        (PoseStamped(header=Header(frame_id='odom')), "expected the frame 'map'"),
    ],
)
def test_bad_poses_are_refused_and_the_node_lives_on(
    camera: Camera, wait_until: Callable, message: PoseStamped, words: str
) -> None:
    health = camera.node._health
    before = health.counts['rejected_poses']
    message.header.stamp = stamp_message(camera.next_stamp())
    camera.send_raw_pose(message)
    wait_until(lambda: health.counts['rejected_poses'] > before, 'a complaint')
    assert words in health.last_error
    camera.send(300.0 + before)
    wait_until(lambda: camera.found, 'a keyframe after the bad pose')


def test_an_image_without_a_pose_is_dropped_with_a_reason(
    camera: Camera, wait_until: Callable
) -> None:
    health = camera.node._health
    before = health.counts['without_pose']
    camera.send_image(camera.next_stamp())
    wait_until(lambda: health.counts['without_pose'] > before, 'a complaint')
    assert 'no pose' in health.last_error


def test_an_image_in_a_gap_between_poses_is_dropped_with_a_reason(
    camera: Camera, wait_until: Callable
) -> None:
    """A pose was lost on the way, and how the camera moved is not known."""
    before, stamp_ns, _, after = (camera.next_stamp() for _ in range(4))
    camera.send_pose(at(30.0), before)
    camera.send_pose(at(33.0), after)
    camera.send_image(stamp_ns)
    health = camera.node._health
    wait_until(lambda: 'apart' in health.last_error, 'a complaint')
    assert 'node.pose_gap_s' in health.last_error
    camera.send_image(after)
    wait_until(lambda: camera.found, 'a keyframe after the gap')
    assert camera.found[0].camera_to_world[0, 3] == pytest.approx(33.0)
    assert len(camera.found) == 1


def test_a_recording_that_starts_again_goes_on(camera: Camera, wait_until: Callable) -> None:
    camera.send(500.0)
    wait_until(lambda: camera.found, 'a keyframe before the jump')
    camera.found.clear()
    camera._now_ns -= 60_000_000_000
    try:
        camera.send(500.0)
        wait_until(lambda: camera.found, 'a keyframe after the jump')
        assert camera.found[0].camera_to_world[0, 3] == pytest.approx(500.0)
    finally:
        camera._now_ns += 120_000_000_000


@pytest.mark.parametrize('reliability', ['best_effort', 'reliable'])
def test_poses_are_repeated_where_that_is_asked_for(
    reliability: str, spinner: object, wait_until: Callable[..., None]
) -> None:
    namespace = f'poses_{reliability}'
    helper = Node('poser', namespace=namespace)
    helper.create_publisher(PoseStamped, 'pose', 10)
    options = {'node.pose_source': 'topic', 'node.pose_reliability': reliability}
    node = KeyframeNode([Parameter(name, value=v) for name, v in options.items()], namespace)
    spinner.add(node)  # type: ignore[attr-defined]
    spinner.add(helper)  # type: ignore[attr-defined]

    def asked() -> list[object]:
        ends = helper.get_subscriptions_info_by_topic(f'/{namespace}/pose')
        return [end.qos_profile.reliability for end in ends]

    wait_until(asked, 'the node hears poses')
    assert asked() == [qos.poses(reliability).reliability]
