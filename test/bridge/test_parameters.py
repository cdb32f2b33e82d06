"""Every option is a parameter with sentence and range; wrong values get a sentence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter

from lerf_ros.bridge.parameters import declare_options, descriptor, follow_live_options
from lerf_ros.config import LerfConfig, flat_options
from lerf_ros.live_options import LiveOptions


@pytest.fixture
def context() -> Iterator[rclpy.Context]:
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.try_shutdown(context=context)


def make_node(context: rclpy.Context, *overrides: Parameter) -> Node:
    return Node('options_test', context=context, parameter_overrides=list(overrides))


def test_every_option_is_declared_with_its_default(context: rclpy.Context) -> None:
    node = make_node(context)
    assert declare_options(node) == LerfConfig()
    for name, info in flat_options():
        found = node.describe_parameter(name)
        assert found.description.startswith(info.text)
        assert found.read_only != info.live


def test_groups_can_be_chosen(context: rclpy.Context) -> None:
    node = make_node(context)
    declare_options(node, ('keyframes', 'node'))
    assert node.has_parameter('keyframes.jpeg_quality')
    assert not node.has_parameter('training.seed')


def test_ranges_hold_for_every_numeric_option() -> None:
    for name, info in flat_options():
        found = descriptor(info)
        ranges = [*found.integer_range, *found.floating_point_range]
        if info.low is None and info.high is None:
            assert not ranges, name
        else:
            assert len(ranges) == 1, name
            assert ranges[0].from_value <= info.default <= ranges[0].to_value, name


def test_overrides_are_taken(context: rclpy.Context) -> None:
    node = make_node(context, Parameter('keyframes.jpeg_quality', value=50))
    assert declare_options(node).keyframes.jpeg_quality == 50


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('keyframes.jpeg_quality', 5000),
        ('keyframes.jpeg_quality', 'high'),
        ('node.pose_source', 'oracle'),
        ('node.tf_timeout_s', -1.0),
    ],
)
def test_wrong_overrides_name_the_option(context: rclpy.Context, name: str, value: object) -> None:
    node = make_node(context, Parameter(name, value=value))
    with pytest.raises(ValueError, match=name.split('.')[1]):
        declare_options(node)


def test_live_options_are_judged_then_applied(context: rclpy.Context) -> None:
    node = make_node(context)
    applied: list[LerfConfig] = []
    options = LiveOptions(declare_options(node))
    options.on_change(applied.append)
    follow_live_options(node, options)
    good = node.set_parameters([Parameter('keyframes.min_translation_m', value=0.5)])[0]
    assert good.successful
    assert applied[-1].keyframes.min_translation_m == 0.5
    bad = node.set_parameters([Parameter('keyframes.min_translation_m', value=-0.5)])[0]
    assert not bad.successful
    fixed = node.set_parameters([Parameter('features.encoder', value='ViT-B-16')])[0]
    assert not fixed.successful
    assert len(applied) == 1
    assert options.current is applied[0]
