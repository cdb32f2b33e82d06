"""Triangle meshes made of a few curves: turned, swept and extruded.

Conventions: metres, z up, faces counter-clockwise seen from outside. ``uv`` holds a texture
coordinate per face corner, in metres along the surface, so that patterns keep their size on
objects of any size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

Array = np.ndarray
Vector = Sequence[float] | np.ndarray
Points = Sequence[Vector] | np.ndarray


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh.

    Attributes:
        vertices: Corners in metres.
        faces: Indices of the three vertices of each triangle.
        uv: Texture coordinates of each triangle's corners, in metres.
    """

    vertices: Float[Array, 'n 3']
    faces: Int[Array, 'm 3']
    uv: Float[Array, 'm 3 2']


def curve(points: Points, count: int = 16, closed: bool = False) -> Float[Array, 'count d']:
    """Returns a smooth curve (Catmull-Rom) through the points, evenly spaced in its parameter."""
    p = np.asarray(points, dtype=np.float64)
    if closed:
        p = np.concatenate([p[-1:], p, p[:2]])
    else:
        p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    pieces = len(p) - 3
    at = np.linspace(0, pieces, count, endpoint=not closed)
    piece = np.minimum(at.astype(int), pieces - 1)
    t = (at - piece)[:, None]
    a, b, c, d = p[piece], p[piece + 1], p[piece + 2], p[piece + 3]
    return b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))


def arc(
    radius: float, start_deg: float, end_deg: float, count: int = 12
) -> Float[Array, 'count 2']:
    """Returns points on a circle around the origin, from one angle to another."""
    angle = np.radians(np.linspace(start_deg, end_deg, count))
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def lathe(profile: Points, segments: int = 28) -> Mesh:
    """Turns a profile of (radius, z) around the z axis; an outside wall runs upwards."""
    profile = np.asarray(profile, dtype=np.float64)
    angle = np.linspace(0, 2 * math.pi, segments + 1)
    radius, z = profile[:, 0], profile[:, 1]
    points = np.stack(
        [
            np.cos(angle)[:, None] * radius,
            np.sin(angle)[:, None] * radius,
            np.broadcast_to(z, (segments + 1, len(z))),
        ],
        axis=-1,
    )
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])
    uv = np.stack(
        np.broadcast_arrays(angle[:, None] * max(radius.max(), 1e-3), along[None]), axis=-1
    )
    return _skin(points, uv)


def sweep(
    path: Points,
    radii: float | Vector | Points,
    segments: int = 10,
    closed: bool = False,
    up: Vector = (0.0, 0.0, 1.0),
) -> Mesh:
    """Moves an ellipse along a path.

    Args:
        path: Centres ``(n, 3)``.
        radii: One radius, one per centre, or a pair per centre (sideways, along ``up``).
        segments: Corners of the ellipse.
        closed: Join the end to the start instead of capping both.
        up: The second half axis of the ellipse lies as near to this direction as it can.
    """
    path = np.asarray(path, dtype=np.float64)
    radii = np.asarray(radii, dtype=np.float64)
    if radii.ndim < 2:
        radii = np.broadcast_to(radii.reshape(-1, 1), (len(path), 2))
    if closed:
        tangent = np.roll(path, -1, axis=0) - np.roll(path, 1, axis=0)
    else:
        tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    # The frame is carried along the path rather than rebuilt from `up`, so that a path that turns
    # through the vertical does not flip it.
    side = np.empty_like(path)
    guess = np.cross(tangent[0], up)
    if np.linalg.norm(guess) < 1e-6:
        guess = np.cross(tangent[0], (1.0, 0.0, 0.0))
    for i, direction in enumerate(tangent):
        guess = guess - direction * (guess @ direction)
        guess = guess / np.linalg.norm(guess)
        side[i] = guess
    lift = np.cross(side, tangent)
    angle = np.linspace(0, 2 * math.pi, segments + 1)
    ring = (
        path[:, None]
        + (radii[:, :1, None] * np.cos(angle)[None, :, None]) * side[:, None]
        + (radii[:, 1:, None] * np.sin(angle)[None, :, None]) * lift[:, None]
    )
    step = np.linalg.norm(np.diff(path, axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(step)])
    if closed:
        ring = np.concatenate([ring, ring[:1]])
        along = np.append(along, along[-1] + np.linalg.norm(path[0] - path[-1]))
    else:
        caps = [np.repeat(path[i][None, None], segments + 1, axis=1) for i in (0, -1)]
        ring = np.concatenate([caps[0], ring, caps[1]])
        along = np.concatenate([[0], along, along[-1:]])
    uv = np.stack(np.broadcast_arrays(along[:, None], angle[None] * radii.max()), axis=-1)
    return _skin(ring, uv)


def extrude(outline: Points, thickness: float) -> Mesh:
    """Gives a flat outline (x, y), counter-clockwise and without holes, a thickness around z=0."""
    outline = np.asarray(outline, dtype=np.float64)
    following = np.roll(outline, -1, axis=0)
    area = outline[:, 0] @ following[:, 1] - outline[:, 1] @ following[:, 0]
    if area < 0:
        outline = outline[::-1]
    n = len(outline)
    top = np.concatenate([outline, np.full((n, 1), thickness / 2)], axis=1)
    bottom = np.concatenate([outline, np.full((n, 1), -thickness / 2)], axis=1)
    lid = _triangulate(outline)
    i = np.arange(n)
    j = (i + 1) % n
    wall = np.concatenate([np.stack([i + n, j + n, j], axis=1), np.stack([i + n, j, i], axis=1)])
    faces = np.concatenate([lid, lid[:, ::-1] + n, wall])
    return _with_box_uv(np.concatenate([top, bottom]), faces)


def box(size: Vector, centre: Vector = (0.0, 0.0, 0.0)) -> Mesh:
    """Returns a box with edges along the axes."""
    x, y, z = size
    mesh = extrude([(-x / 2, -y / 2), (x / 2, -y / 2), (x / 2, y / 2), (-x / 2, y / 2)], z)
    return moved(mesh, centre)


def ellipsoid(radii: Vector, centre: Vector = (0.0, 0.0, 0.0), segments: int = 20) -> Mesh:
    """Returns an ellipsoid with axes along x, y, z."""
    rings = max(segments // 2, 6) + 1
    # Half a turn of (cos, sin) gives (radius, z); the ends are exactly on the axis.
    profile = arc(1.0, -90, 90, rings)
    profile[[0, -1], 0] = 0.0
    ball = lathe(profile, segments)
    scale = np.asarray(radii, dtype=np.float64)
    mesh = Mesh(ball.vertices * scale, ball.faces, ball.uv * float(scale.mean()))
    return moved(mesh, centre)


def cylinder(radius: float, height: float, z: float = 0.0, segments: int = 24) -> Mesh:
    """Returns an upright cylinder that stands at height z."""
    return lathe([(0, z), (radius, z), (radius, z + height), (0, z + height)], segments)


def torus(major: float, minor: float, segments: int = 28, sides: int = 10) -> Mesh:
    """Returns a ring in the xy plane around the origin."""
    profile = arc(minor, 0, 360, sides + 1) + np.array([major, 0.0])
    return lathe(profile, segments)


def vessel(outer: Points, wall_m: float, segments: int = 28) -> Mesh:
    """Turns a profile of (radius, z), from the bottom to the rim, into an open hollow vessel."""
    outer = np.asarray(outer, dtype=np.float64)
    floor = outer[0, 1] + wall_m
    inner = outer[::-1].copy()
    inner[:, 0] = np.maximum(inner[:, 0] - wall_m, 0.0)
    inner[:, 1] = np.maximum(inner[:, 1], floor)
    ends = [(0.0, outer[0, 1])], [(0.0, floor)]
    return lathe(np.concatenate([ends[0], outer, inner, ends[1]]), segments)


def moved(mesh: Mesh, offset: Vector) -> Mesh:
    """Returns the mesh shifted."""
    return replace(mesh, vertices=mesh.vertices + np.asarray(offset, dtype=np.float64))


def turned(mesh: Mesh, axis: str, angle_deg: float) -> Mesh:
    """Returns the mesh turned around the 'x', 'y' or 'z' axis."""
    return replace(mesh, vertices=mesh.vertices @ axis_rotation(axis, angle_deg).T)


def stretched(mesh: Mesh, factors: float | Vector) -> Mesh:
    """Returns the mesh scaled along x, y, z by positive factors."""
    scale = np.broadcast_to(np.asarray(factors, dtype=np.float64), (3,))
    return Mesh(mesh.vertices * scale, mesh.faces, mesh.uv * float(scale.mean()))


def joined(*meshes: Mesh) -> Mesh:
    """Returns one mesh of several."""
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([m.faces + start for m, start in zip(meshes, starts, strict=True)]),
        np.concatenate([mesh.uv for mesh in meshes]),
    )


def axis_rotation(axis: str, angle_deg: float) -> Float[Array, '3 3']:
    """Returns the rotation around 'x', 'y' or 'z'."""
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    i = 'xyz'.index(axis)
    result = np.eye(3)
    j, k = (i + 1) % 3, (i + 2) % 3
    result[j, j], result[j, k], result[k, j], result[k, k] = c, -s, s, c
    return result


def face_areas(vertices: Float[Array, 'n 3'], faces: Int[Array, 'm 3']) -> Float[Array, ' m']:
    """Returns the area of each triangle, square metres."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


def surface_centre(mesh: Mesh) -> Float[Array, '3']:
    """Returns the mean of all points of the surface."""
    area = face_areas(mesh.vertices, mesh.faces)
    return area @ mesh.vertices[mesh.faces].mean(axis=1) / area.sum()


def _skin(points: Float[Array, 'a b 3'], uv: Float[Array, 'a b 2']) -> Mesh:
    """Covers a grid of points with triangles, leaving out those without area."""
    rows, cols = points.shape[:2]
    index = np.arange(rows * cols).reshape(rows, cols)
    a, b = index[:-1, :-1].ravel(), index[1:, :-1].ravel()
    c, d = index[1:, 1:].ravel(), index[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    vertices = points.reshape(-1, 3)
    faces = faces[face_areas(vertices, faces) > 1e-12]
    return Mesh(vertices, faces, uv.reshape(-1, 2)[faces])


def _with_box_uv(vertices: Float[Array, 'n 3'], faces: Int[Array, 'm 3']) -> Mesh:
    """Projects texture coordinates along the axis each face looks at."""
    faces = faces[face_areas(vertices, faces) > 1e-12]
    corners = vertices[faces]
    normal = np.abs(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    uv = np.empty((len(faces), 3, 2))
    for axis, (first, second) in enumerate(((1, 2), (0, 2), (0, 1))):
        chosen = normal.argmax(axis=1) == axis
        uv[chosen] = corners[chosen][..., [first, second]]
    return Mesh(vertices, faces, uv)


def _triangulate(outline: Float[Array, 'n 2']) -> Int[Array, 'm 3']:
    """Cuts a simple counter-clockwise polygon into triangles, ear by ear."""
    left = list(range(len(outline)))
    triangles: list[tuple[int, ...]] = []
    while len(left) > 3:
        for at in range(len(left)):
            i, j, k = left[at - 1], left[at], left[(at + 1) % len(left)]
            a, b, c = outline[i], outline[j], outline[k]
            if _turn(a, b, c) <= 1e-14:
                continue
            others = outline[[v for v in left if v not in (i, j, k)]]
            inside = (
                (_turn(a, b, others.T) >= 0)
                & (_turn(b, c, others.T) >= 0)
                & (_turn(c, a, others.T) >= 0)
            )
            if not inside.any():
                break
        else:
            # Only corners without area are left; they add nothing to the surface.
            at = 0
            i, j, k = left[at - 1], left[at], left[(at + 1) % len(left)]
        triangles.append((i, j, k))
        left.pop(at)
    triangles.append(tuple(left))
    return np.array(triangles)


def _turn(a: Array, b: Array, c: Array) -> Array | np.floating:
    """Returns twice the signed area of the triangle a, b, c."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
