"""What is true of a scene: its objects, their parts, and perfect pictures of them.

Positions are in the world, metres; boxes hold the whole mesh.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int, UInt8

from lerf_ros.geometry import Array, transform_points
from lerf_ros.simulation.captions import category_names, object_names
from lerf_ros.simulation.layout import Item
from lerf_ros.simulation.shapes import joined, surface_centre


@dataclass(frozen=True, eq=False)
class ScenePart:
    """A named part of an object.

    Attributes:
        index: Its number in `View.parts`.
        name: Noun, as in 'handle'.
        centre_world: Mean of its surface.
        box_min_world: Lowest corner of its axis-aligned box.
        box_max_world: Highest corner of its axis-aligned box.
    """

    index: int
    name: str
    centre_world: Float[Array, '3']
    box_min_world: Float[Array, '3']
    box_max_world: Float[Array, '3']


@dataclass(frozen=True, eq=False)
class SceneObject:
    """The truth about one object, at rest.

    Attributes:
        index: Its number in `View.objects`.
        category: Key of `catalogue.CATEGORIES`.
        colour: Key of `catalogue.COLOURS`.
        texture: Key of `catalogue.TEXTURES`.
        name: What to call it, as in 'red mug'; twins share theirs.
        names: Phrases with its colour that mean it, `name` first.
        category_names: Words for its category, without the colour.
        parts: Its named parts.
        object_to_world: Pose of the frame it was modelled in.
        box_min_world: Lowest corner of its axis-aligned box.
        box_max_world: Highest corner of its axis-aligned box.
        box_to_world: Pose of its oriented box: centre, and axes along those it was modelled in.
        box_size_m: Edges of its oriented box.
        surface_centre_world: Mean of its surface.
    """

    index: int
    category: str
    colour: str
    texture: str
    name: str
    names: tuple[str, ...]
    category_names: tuple[str, ...]
    parts: tuple[ScenePart, ...]
    object_to_world: Float[Array, '4 4']
    box_min_world: Float[Array, '3']
    box_max_world: Float[Array, '3']
    box_to_world: Float[Array, '4 4']
    box_size_m: Float[Array, '3']
    surface_centre_world: Float[Array, '3']


@dataclass(frozen=True, eq=False)
class View:
    """A perfect picture.

    Attributes:
        image: RGB.
        depth: Depth along the optical axis, metres.
        objects: Index of the object at each pixel, -1 where there is none.
        parts: Index of the part within its object, -1 where there is none.
    """

    image: UInt8[Array, 'height width 3']
    depth: Float[Array, 'height width']
    objects: Int[Array, 'height width']
    parts: Int[Array, 'height width']


def describe(index: int, item: Item, object_to_world: Float[Array, '4 4']) -> SceneObject:
    """Returns the truth about an item that rests at a pose."""
    parts = []
    for number, part in enumerate(item.parts):
        world = transform_points(object_to_world, part.mesh.vertices)
        centre = transform_points(object_to_world, surface_centre(part.mesh))
        parts.append(ScenePart(number, part.name, centre, world.min(axis=0), world.max(axis=0)))
    whole = joined(*(part.mesh for part in item.parts))
    world = transform_points(object_to_world, whole.vertices)
    low, high = whole.vertices.min(axis=0), whole.vertices.max(axis=0)
    box_to_world = object_to_world.copy()
    box_to_world[:3, 3] = transform_points(object_to_world, (low + high) / 2)
    names = object_names(item.colour, item.category, item.texture)
    return SceneObject(
        index=index,
        category=item.category,
        colour=item.colour,
        texture=item.texture,
        name=names[0],
        names=names,
        category_names=category_names(item.category),
        parts=tuple(parts),
        object_to_world=object_to_world,
        box_min_world=world.min(axis=0),
        box_max_world=world.max(axis=0),
        box_to_world=box_to_world,
        box_size_m=high - low,
        surface_centre_world=transform_points(object_to_world, surface_centre(whole)),
    )
