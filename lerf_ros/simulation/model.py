"""Turns items and a room into a MuJoCo model, and lets it come to rest.

Each part is one visual geom with a mesh, plus the convex hull of that mesh for contacts.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from lerf_ros.geometry import Array, quaternion_from_rotation
from lerf_ros.simulation import gl
from lerf_ros.simulation.catalogue import (
    FINISHES,
    TEXTURE_TILE_M,
    Finish,
    contrasting,
    paint,
)
from lerf_ros.simulation.layout import TABLE_SIZE_M, Item
from lerf_ros.simulation.shading import shaded
from lerf_ros.simulation.shapes import Mesh, box

_FLOOR_Z_M = -0.72
_SMALLEST_HULL_M = 0.025


def build_model(
    items: list[Item], samples: int, shadow_size: int, rng: np.random.Generator
) -> tuple[Any, dict[int, tuple[int, int]]]:
    """Compiles the model of a scene.

    Args:
        items: What stands on the table.
        samples: Samples per pixel of the colour picture.
        shadow_size: Side of the shadow map, pixels.
        rng: Draws the room and its lights.

    Returns:
        The compiled model, and (object, part) of each geom that shows a part.
    """
    mujoco = gl.mujoco_module()
    spec = mujoco.MjSpec()
    spec.option.timestep = 0.004
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.stat.extent = 1.0
    spec.stat.center = [0.0, 0.0, 0.0]
    spec.visual.quality.offsamples = samples
    spec.visual.quality.shadowsize = shadow_size
    spec.visual.map.znear = 0.03
    spec.visual.map.zfar = 9.0
    spec.visual.map.shadowclip = 1.6
    _add_room(spec, rng)
    _add_lights(spec, rng)
    names: dict[str, tuple[int, int]] = {}
    for index, item in enumerate(items):
        add_item(spec, item, index, names, rng)
    model = spec.compile()
    return model, {model.geom(name).id: place for name, place in names.items()}


def settle(model: Any, data: Any, seconds: float) -> None:
    """Lets the objects drop and come to rest."""
    mujoco = gl.mujoco_module()
    mujoco.mj_step(model, data, nstep=round(seconds / model.opt.timestep))
    mujoco.mj_forward(model, data)


def add_item(
    spec: Any,
    item: Item,
    index: int,
    names: dict[str, tuple[int, int]],
    rng: np.random.Generator,
    moves: bool = True,
) -> None:
    """Adds an object where it is dropped.

    Args:
        spec: The model in the making.
        item: The object.
        index: Its number.
        names: Takes (object, part) of each geom's name.
        rng: Draws its finish.
        moves: Whether physics moves it; else it is only to be seen.
    """
    body = spec.worldbody.add_body(
        name=f'object{index}',
        pos=item.object_to_world[:3, 3],
        quat=_quaternion_wxyz(item.object_to_world[:3, :3]),
    )
    if moves:
        _add_mass(body, item)
    add_material(spec, f'main{index}', paint(item.texture, item.rgb, rng), Finish((1, 1, 1)), rng)
    longest_m = [float(np.ptp(part.mesh.vertices, axis=0).max()) for part in item.parts]
    # Of a thing that is small altogether, the largest part is what it rests on.
    smallest_hull_m = min(_SMALLEST_HULL_M, max(longest_m))
    for number, part in enumerate(item.parts):
        name = f'part{index}_{number}'
        _add_mesh(spec, name, part.mesh)
        geom = body.add_geom(
            name=name,
            type=gl.mujoco_module().mjtGeom.mjGEOM_MESH,
            meshname=name,
            contype=0,
            conaffinity=0,
            group=0,
        )
        if part.finish == 'main':
            geom.material = f'main{index}'
        else:
            finish = contrasting(item.rgb) if part.finish == 'contrast' else FINISHES[part.finish]
            geom.material = name
            shade = np.clip(np.array(finish.rgb) * rng.uniform(0.88, 1.08), 0, 1)
            add_material(spec, name, paint('plain', shade, rng, 4), finish, rng)
        names[name] = (index, number)
        if moves and longest_m[number] >= smallest_hull_m:
            hull = spec.add_mesh(name=f'hull{index}_{number}')
            hull.uservert = part.mesh.vertices.astype(np.float32).ravel()
            hull.maxhullvert = 80
            hull.inertia = gl.mujoco_module().mjtMeshInertia.mjMESH_INERTIA_CONVEX
            body.add_geom(
                type=gl.mujoco_module().mjtGeom.mjGEOM_MESH,
                meshname=hull.name,
                condim=6,
                friction=[0.9, 0.02, 0.004],
                group=4,
            )


def _add_mass(body: Any, item: Item) -> None:
    """Lets physics move the body of an object."""
    joint = body.add_freejoint()
    joint.damping = [2e-4, 0.0, 0.0]
    points = np.concatenate([part.mesh.vertices for part in item.parts])
    low, high = points.min(axis=0), points.max(axis=0)
    size = high - low
    mass_kg = float(np.clip(400.0 * np.prod(size), 0.02, 0.5))
    # The inertia of the bounding box: contacts only have to bring the object to rest.
    body.explicitinertial = True
    body.mass = mass_kg
    body.ipos = (low + high) / 2
    body.inertia = mass_kg / 12 * ((size**2).sum() - size**2)


def _add_room(spec: Any, rng: np.random.Generator) -> None:
    mujoco = gl.mujoco_module()
    tops = ['wood', 'plain', 'cloth', 'stone']
    add_surface(
        spec,
        'table',
        box((*TABLE_SIZE_M, 0.03), (0, 0, -0.015)),
        ground(str(rng.choice(tops)), rng),
        rng.uniform(0.35, 0.8),
        rng,
    )
    floor = ground(str(rng.choice(['wood', 'tiles', 'stone', 'plain'])), rng)
    add_surface(spec, 'floor', box((6, 6, 0.02), (0, 0, _FLOOR_Z_M)), floor, 1.2, rng)
    wall = ground(str(rng.choice(['plain', 'tiles', 'stone'])), rng)
    reach = rng.uniform(1.6, 2.4)
    for i, (x, y) in enumerate(((1, 0), (-1, 0), (0, 1), (0, -1))):
        size = (0.02 + 6 * abs(y), 0.02 + 6 * abs(x), 4.0)
        mesh = box(size, (x * reach, y * reach, 1.2))
        add_surface(spec, f'wall{i}', mesh, wall, 1.5, rng)
    leg = ground('wood', rng)
    for i, (x, y) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        mesh = box((0.05, 0.05, 0.7), (x * 0.45, y * 0.35, -0.37))
        add_surface(spec, f'leg{i}', mesh, leg, 0.5, rng)
    spec.worldbody.add_geom(
        name='support',
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[1, 1, 0.1],
        condim=6,
        friction=[0.9, 0.02, 0.004],
        group=4,
    )


def add_surface(
    spec: Any,
    name: str,
    mesh: Mesh,
    picture: UInt8[Array, 'size size 3'],
    tile_m: float,
    rng: np.random.Generator,
) -> None:
    """Adds what is only to be seen, covered by a picture that repeats every `tile_m`."""
    scaled = Mesh(mesh.vertices, mesh.faces, mesh.uv * (TEXTURE_TILE_M / tile_m))
    _add_mesh(spec, name, scaled)
    add_material(spec, name, picture, Finish((1, 1, 1), specular=0.05), rng)
    spec.worldbody.add_geom(
        name=name,
        type=gl.mujoco_module().mjtGeom.mjGEOM_MESH,
        meshname=name,
        material=name,
        contype=0,
        conaffinity=0,
        group=0,
    )


def _add_mesh(spec: Any, name: str, surface: Mesh) -> None:
    drawn = shaded(surface)
    mesh = spec.add_mesh(name=name)
    mesh.uservert = drawn.vertices.astype(np.float32).ravel()
    mesh.usernormal = drawn.normals.astype(np.float32).ravel()
    mesh.usertexcoord = (drawn.uv / TEXTURE_TILE_M).astype(np.float32).ravel()
    mesh.userface = drawn.faces.astype(np.int32).ravel()
    # Thin and open surfaces have no volume to take an inertia from.
    mesh.inertia = gl.mujoco_module().mjtMeshInertia.mjMESH_INERTIA_SHELL


def add_material(
    spec: Any,
    name: str,
    picture: UInt8[Array, 'size size 3'],
    finish: Finish,
    rng: np.random.Generator,
) -> None:
    """Adds a material of that name."""
    mujoco = gl.mujoco_module()
    texture = spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D)
    texture.height, texture.width, texture.nchannel = picture.shape
    texture.data = picture.tobytes()
    material = spec.add_material(name=name)
    roles = [''] * int(mujoco.mjtTextureRole.mjNTEXROLE)
    roles[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = name
    material.textures = roles
    material.specular = float(np.clip(finish.specular * rng.uniform(0.5, 1.5), 0, 1))
    material.shininess = finish.shininess
    material.emission = finish.emission


def _add_lights(spec: Any, rng: np.random.Generator) -> None:
    mujoco = gl.mujoco_module()
    ambient = rng.uniform(0.28, 0.40)
    spec.visual.headlight.ambient = [ambient] * 3
    spec.visual.headlight.diffuse = [0.0] * 3
    spec.visual.headlight.specular = [0.0] * 3
    warmth = rng.uniform(-0.06, 0.06)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    azimuth = rng.uniform(0, 2 * math.pi)
    lights = (
        (azimuth, rng.uniform(42, 72), rng.uniform(0.52, 0.72), True),
        (azimuth + rng.uniform(1.8, 4.4), rng.uniform(35, 60), rng.uniform(0.10, 0.25), False),
    )
    for turn, elevation_deg, power, shadow in lights:
        rise = math.radians(elevation_deg)
        towards = np.array(
            [math.cos(turn) * math.cos(rise), math.sin(turn) * math.cos(rise), math.sin(rise)]
        )
        light = spec.worldbody.add_light(
            pos=1.8 * towards,
            dir=-towards,
            castshadow=shadow,
            diffuse=power * tint,
            specular=[0.35 * power] * 3,
            ambient=[0.0] * 3,
        )
        light.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL


def ground(kind: str, rng: np.random.Generator) -> UInt8[Array, 'size size 3']:
    """Returns a seamless tile of a material that tables, floors and walls are made of."""
    size = 128
    row, col = np.mgrid[0:size, 0:size] / size
    grain = rng.standard_normal((size, size))
    if kind == 'wood':
        rgb = np.array([0.62, 0.45, 0.29]) * rng.uniform(0.55, 1.35)
        waves = rng.integers(5, 11)
        bend = 0.5 * np.sin(2 * np.pi * col + rng.uniform(0, 6)) + 0.3 * np.sin(4 * np.pi * col)
        shade = 0.10 * np.sin(2 * np.pi * waves * row + bend) + 0.03 * grain
        shade -= 0.25 * ((row * 4) % 1 < 0.03)
    elif kind == 'cloth':
        rgb = rng.uniform(0.45, 0.95) + rng.uniform(-0.10, 0.10, size=3)
        checks = ((row * 8).astype(int) % 2 + (col * 8).astype(int) % 2) / 2
        shade = rng.choice([0.0, 0.18, 0.30]) * (checks - 0.5) + 0.03 * grain
    elif kind == 'tiles':
        rgb = rng.uniform(0.4, 0.85) + rng.uniform(-0.08, 0.08, size=3)
        joint = ((row * 4) % 1 < 0.04) | ((col * 4) % 1 < 0.04)
        shade = -0.3 * joint + 0.015 * grain
    elif kind == 'stone':
        rgb = rng.uniform(0.35, 0.85) + rng.uniform(-0.05, 0.05, size=3)
        rough = np.fft.fft2(grain)
        frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
        rough = np.real(np.fft.ifft2(rough / (frequency + 0.03)))
        shade = 0.08 * rough / rough.std()
    else:
        rgb = rng.uniform(0.3, 0.95) + rng.uniform(-0.10, 0.10, size=3)
        shade = 0.012 * grain
    picture = np.clip(rgb, 0.05, 1.0) * (1 + shade[..., None])
    return np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def _quaternion_wxyz(rotation: Float[Array, '3 3']) -> Float[Array, '4']:
    return np.roll(quaternion_from_rotation(rotation), 1)
