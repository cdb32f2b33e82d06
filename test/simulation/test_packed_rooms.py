"""Objects of rooms, packed."""

import numpy as np

from lerf_ros.simulation.category import Part
from lerf_ros.simulation.layout import Item
from lerf_ros.simulation.packed_rooms import PackedRooms
from lerf_ros.simulation.shapes import box


def item(edge_m: float) -> Item:
    parts = (Part('whole', box((edge_m, 0.1, 1 / 3))),)
    return Item('box', 'red', 'plain', np.array([0.7, 0.1, 0.1]), parts, np.eye(4))


def test_objects_come_out_as_they_went_in_and_in_their_order() -> None:
    rooms = PackedRooms()
    rooms.pack(1, [(2, item(0.3))])
    rooms.pack(0, [(0, item(0.1)), (1, item(0.2))])
    rooms.pack(2, [])
    found = rooms.unpack({2, 1, 0})
    assert [index for index, _ in found] == [0, 1, 2]
    for index, each in found:
        wanted = item((index + 1) / 10).parts[0].mesh
        np.testing.assert_array_equal(each.parts[0].mesh.vertices, wanted.vertices)
        np.testing.assert_array_equal(each.parts[0].mesh.uv, wanted.uv)
    assert [index for index, _ in rooms.unpack([1])] == [2]
