"""Every option of the package as a ROS parameter, with sentence, range and type."""

from __future__ import annotations

from collections.abc import Sequence

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from lerf_ros.config import LerfConfig, flat_options
from lerf_ros.live_options import LiveOptions
from lerf_ros.options import OptionInfo

# Parameter ranges need both ends; these stand for "no bound" on one side.
HUGE = 1e12
INT64_MAX = 2**63 - 1


def descriptor(info: OptionInfo) -> ParameterDescriptor:
    """Returns what `ros2 param describe` shows of an option."""
    text = info.text + (f' Unit: {info.unit}.' if info.unit else '')
    choices = f'One of: {", ".join(info.choices)}.' if info.choices else ''
    result = ParameterDescriptor(
        description=text, additional_constraints=choices, read_only=not info.live
    )
    if info.low is None and info.high is None:
        return result
    if isinstance(info.default, float):
        low = -HUGE if info.low is None else float(info.low)
        high = HUGE if info.high is None else float(info.high)
        result.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif isinstance(info.default, int):
        low = -INT64_MAX if info.low is None else int(info.low)
        high = INT64_MAX if info.high is None else int(info.high)
        result.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
    return result


def declare_options(node: Node, groups: Sequence[str] = ()) -> LerfConfig:
    """Declares the options of some groups (all if none is named); returns what they are set to.

    Raises:
        ValueError: A value from the command line or a parameter file is wrong; the message names
            the option.
    """
    values = {}
    for name, info in flat_options():
        if groups and name.split('.')[0] not in groups:
            continue
        try:
            parameter = node.declare_parameter(name, info.default, descriptor(info))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise ValueError(f'parameter {name}: {error}') from error
        values[name] = parameter.value
    return LerfConfig.from_flat(values)


def follow_live_options(node: Node, options: LiveOptions) -> None:
    """Changes options whenever live parameters are set.

    Changes that are out of range are refused with a sentence before anything is applied.
    """
    known = dict(flat_options())

    def ours(parameters: list[Parameter]) -> dict:
        return {
            parameter.name: parameter.value for parameter in parameters if parameter.name in known
        }

    def judge(parameters: list[Parameter]) -> SetParametersResult:
        try:
            options.judge(ours(parameters))
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def accept(parameters: list[Parameter]) -> None:
        changes = ours(parameters)
        if changes:
            options.change(changes)

    node.add_on_set_parameters_callback(judge)
    node.add_post_set_parameters_callback(accept)
