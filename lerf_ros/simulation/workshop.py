"""Categories of tools and stationery. Lengths are metres, z is up."""

from __future__ import annotations

import math

import numpy as np

from lerf_ros.simulation.category import UPRIGHT, Category, Part
from lerf_ros.simulation.shapes import (
    arc,
    box,
    curve,
    cylinder,
    extrude,
    joined,
    lathe,
    moved,
    sweep,
    torus,
    turned,
    vessel,
)


def _hammer(rng: np.random.Generator) -> list[Part]:
    length = rng.uniform(0.19, 0.225)
    path = [(0.015, 0, 0), (-length * 0.4, 0, 0), (-length * 0.55, 0, 0), (-length, 0, 0)]
    handle = sweep(path, [(0.008, 0.007), (0.008, 0.007), (0.011, 0.009), (0.012, 0.010)], 10)
    block = box((0.026, 0.05, 0.024))
    face = moved(turned(cylinder(0.015, 0.028), 'x', 90), (0, -0.022, 0))
    claw = extrude([(-0.012, 0.025), (0.012, 0.025), (0.004, 0.05), (-0.016, 0.066),
                    (-0.018, 0.062), (-0.006, 0.045)], 0.018)  # fmt: skip
    return [Part('head', joined(block, face, claw), 'metal'), Part('handle', handle)]


def _screwdriver(rng: np.random.Generator) -> list[Part]:
    length = rng.uniform(0.08, 0.105)
    profile = [(0, -0.095), (0.010, -0.094), (0.0155, -0.085), (0.0155, -0.045), (0.011, -0.03),
               (0.0145, -0.012), (0.010, 0), (0, 0)]  # fmt: skip
    shaft = cylinder(0.0036, length, -0.002, 10)
    tip = moved(box((0.010, 0.002, 0.014)), (0, 0, length + 0.003))
    return [
        Part('handle', turned(lathe(profile, 12), 'y', 90)),
        Part('shaft', turned(joined(shaft, tip), 'y', 90), 'metal'),
    ]


def _wrench(rng: np.random.Generator) -> list[Part]:
    length = rng.uniform(0.10, 0.125)
    jaw = np.concatenate([arc(0.024, 40, 320, 16), arc(0.011, 310, 50, 9)])
    jaws = moved(extrude(jaw, 0.010), (length, 0, 0))
    ring = moved(torus(0.014, 0.006, 20, 8), (-0.014, 0, 0))
    bar = extrude([(-0.002, -0.007), (length - 0.018, -0.009), (length - 0.018, 0.009),
                   (-0.002, 0.007)], 0.007)  # fmt: skip
    return [Part('jaws', jaws), Part('handle', joined(bar, ring))]


def _scissors(rng: np.random.Generator) -> list[Part]:
    length, spread = rng.uniform(0.085, 0.10), rng.uniform(10, 17)
    blade = extrude([(-0.03, -0.004), (0.0, -0.006), (length, 0.001), (0.0, 0.007),
                     (-0.03, 0.004)], 0.003)  # fmt: skip
    grip = arc(1.0, 0, 360, 15)[:-1] * (0.025, 0.017)
    loop = np.stack([grip[:, 0] - 0.05, grip[:, 1] - 0.010, 0 * grip[:, 0]], axis=1)
    handle = sweep(loop, 0.0052, 8, closed=True)
    pin = cylinder(0.004, 0.008, -0.004, 10)
    blades = joined(moved(turned(blade, 'z', spread), (0, 0, 0.0016)),
                    moved(turned(blade, 'z', -spread), (0, 0, -0.0016)), pin)  # fmt: skip
    mirrored = turned(handle, 'x', 180)
    handles = joined(turned(handle, 'z', spread), turned(mirrored, 'z', -spread))
    return [Part('blades', blades, 'metal'), Part('handles', handles)]


def _flashlight(rng: np.random.Generator) -> list[Part]:
    length, head = rng.uniform(0.085, 0.105), rng.uniform(0.025, 0.029)
    barrel = lathe(
        [(0, -length), (0.014, -length), (0.0155, -length + 0.005), (0.0155, 0), (0, 0)], 18
    )
    cone = lathe([(0, -0.002), (0.0155, -0.002), (0.018, 0.006), (head, 0.024), (head, 0.042),
                  (head - 0.003, 0.044), (head - 0.003, 0.040), (0, 0.040)], 24)  # fmt: skip
    lens = cylinder(head - 0.0035, 0.002, 0.0405, 20)
    button = moved(cylinder(0.006, 0.005, 0.0, 10), (0, 0, 0.014))
    return [
        Part('barrel', turned(barrel, 'y', 90)),
        Part('head', turned(cone, 'y', 90), str(rng.choice(['main', 'dark', 'metal']))),
        Part('lens', turned(lens, 'y', 90), 'glow'),
        Part('button', moved(button, (-0.03, 0, 0)), 'dark'),
    ]


def _tape(rng: np.random.Generator) -> list[Part]:
    radius, width = rng.uniform(0.042, 0.05), rng.uniform(0.024, 0.034)
    inner = radius * rng.uniform(0.58, 0.66)
    roll = lathe([(inner, 0), (radius, 0), (radius, width), (inner, width), (inner, 0)], 32)
    thin = inner - 0.004
    core = lathe([(thin, 0.001), (inner, 0.001), (inner, width - 0.001), (thin, width - 0.001),
                  (thin, 0.001)], 28)  # fmt: skip
    return [Part('tape', roll), Part('core', core, 'paper')]


def _paintbrush(rng: np.random.Generator) -> list[Part]:
    width = rng.uniform(0.017, 0.023)
    path = [(-0.11, 0, 0), (-0.10, 0, 0), (-0.05, 0, 0), (-0.015, 0, 0), (0.0, 0, 0)]
    sides = [(0.007, 0.006), (0.010, 0.007), (0.008, 0.006), (width * 0.8, 0.007), (width, 0.008)]
    bristles = sweep([(0.02, 0, 0), (0.05, 0, 0), (0.066, 0, 0)],
                     [(width, 0.008), (width * 1.06, 0.007), (width * 0.8, 0.002)],
                     14)  # fmt: skip
    ferrule = sweep([(-0.002, 0, 0), (0.022, 0, 0)], [(width * 1.02, 0.0085)] * 2, 14)
    return [
        Part('handle', sweep(curve(path, 9), np.array(curve(sides, 9)), 12)),
        Part('ferrule', ferrule, 'metal'),
        Part('bristles', bristles, str(rng.choice(['dark', 'paper', 'wood']))),
    ]


def _padlock(rng: np.random.Generator) -> list[Part]:
    width, height = rng.uniform(0.046, 0.054), rng.uniform(0.038, 0.046)
    corner = 0.008
    reach = np.array([width, height]) / 2 - corner
    corners = ((0, (1, 1)), (90, (-1, 1)), (180, (-1, -1)), (270, (1, -1)))
    outline = np.concatenate(
        [arc(corner, start, start + 90, 4) + reach * side for start, side in corners]
    )
    body = extrude(outline, 0.02)
    loop = arc(width * 0.30, 0, 180, 12) * (1, 1.15) + (0, height / 2 + 0.014)
    loop = np.concatenate(
        [[(width * 0.3, height / 2 - 0.004)], loop, [(-width * 0.3, height / 2 - 0.004)]]
    )
    shackle = sweep(np.column_stack([loop, 0 * loop[:, 0]]), 0.0048, 10)
    hole = cylinder(0.005, 0.0215, -0.01075, 12)
    slot = box((0.004, 0.012, 0.0215), (0, -0.007, 0))
    return [
        Part('body', body),
        Part('shackle', shackle, 'metal'),
        Part('keyhole', joined(hole, slot), 'dark'),
    ]


def _key(rng: np.random.Generator) -> list[Part]:
    length = rng.uniform(0.06, 0.075)
    bow = np.array([(x, y, 0) for x, y in arc(0.018, 0, 360, 25)[:-1]])
    ring = sweep(bow * (1.05, 1.0, 1.0), 0.0058, 8, closed=True)
    ring = moved(ring, (-0.022, 0, 0))
    shaft = box((length, 0.008, 0.007), (length / 2 - 0.003, 0, 0))
    teeth = [box((0.008, 0.015, 0.005), (length - x, -0.010, 0)) for x in (0.008, 0.022)]
    return [Part('bow', ring), Part('shaft', joined(shaft, *teeth))]


def _marker(rng: np.random.Generator) -> list[Part]:
    length, radius = rng.uniform(0.085, 0.10), rng.uniform(0.0085, 0.0105)
    barrel = lathe([(0, -length), (radius * 0.9, -length), (radius, -length + 0.004), (radius, 0),
                    (0, 0)], 16)  # fmt: skip
    cap = lathe([(0, -0.002), (radius * 1.12, -0.002), (radius, 0.038), (radius * 0.8, 0.044),
                 (0, 0.044)], 16)  # fmt: skip
    clip = moved(box((0.004, 0.003, 0.034)), (0, radius * 1.25, 0.018))
    return [
        Part('barrel', turned(barrel, 'y', 90)),
        Part('cap', turned(joined(cap, clip), 'y', 90), 'contrast'),
    ]


def _pencil(rng: np.random.Generator) -> list[Part]:
    length = rng.uniform(0.13, 0.17)
    radius = 0.0065
    shaft = cylinder(radius, length, 0, 6)
    tip = lathe(
        [(0, length), (radius * 0.95, length), (0.0015, length + 0.018), (0, length + 0.02)], 10
    )
    eraser = cylinder(radius, 0.012, -0.022, 12)
    ferrule = cylinder(radius * 1.06, 0.011, -0.0105, 12)
    return [
        Part('shaft', turned(shaft, 'y', 90)),
        Part('tip', turned(tip, 'y', 90), 'dough'),
        Part('eraser', turned(eraser, 'y', 90), 'rubber'),
        Part('ferrule', turned(ferrule, 'y', 90), 'metal'),
    ]


def _saw(rng: np.random.Generator) -> list[Part]:
    length = rng.uniform(0.14, 0.165)
    teeth = [(x, -0.026 + 0.004 * (i % 2)) for i, x in enumerate(np.linspace(0, length, 25))]
    blade = extrude([*teeth, (length, -0.004), (0, 0.026)], 0.0025)
    grip = np.array([(0.0, 0.026), (-0.03, 0.034), (-0.062, 0.022), (-0.066, -0.014),
                     (-0.038, -0.036), (0.0, -0.028)])  # fmt: skip
    loop = curve(np.column_stack([grip, np.zeros(6)]), 20, closed=True)
    return [Part('blade', blade, 'metal'), Part('handle', sweep(loop, 0.0085, 8, closed=True))]


def _bucket(rng: np.random.Generator) -> list[Part]:
    r, height = rng.uniform(0.05, 0.058), rng.uniform(0.085, 0.10)
    body = vessel([(r * 0.74, 0), (r, height - 0.006), (r * 1.06, height - 0.006),
                   (r * 1.06, height)], 0.003)  # fmt: skip
    loop = arc(r * 1.06, 0, 180, 16)
    lean = math.radians(rng.uniform(-25, 25))
    bail = np.stack([loop[:, 0], loop[:, 1] * math.sin(lean), loop[:, 1] * math.cos(lean)], axis=1)
    handle = moved(sweep(bail, 0.0026, 6), (0, 0, height - 0.004))
    return [Part('body', body), Part('handle', handle, 'metal')]


def _magnifier(rng: np.random.Generator) -> list[Part]:
    radius = rng.uniform(0.034, 0.042)
    along = radius + np.array([0, 0.02, 0.085, 0.09])
    path = np.stack([along, 0 * along, 0 * along], axis=1)
    handle = sweep(path, [0.005, 0.008, 0.010, 0.007], 10)
    return [
        Part('frame', torus(radius, 0.0055, 28, 8)),
        Part('lens', cylinder(radius, 0.003, -0.0015, 24), 'glass'),
        Part('handle', handle, str(rng.choice(['main', 'dark', 'wood']))),
    ]


CATEGORIES = (
    Category('hammer', ('claw hammer',), _hammer),
    Category('screwdriver', ('screw driver',), _screwdriver),
    Category('wrench', ('spanner',), _wrench),
    Category('scissors', ('pair of scissors', 'shears'), _scissors),
    Category('flashlight', ('torch',), _flashlight, (UPRIGHT, (0.25, 'y', -90.0))),
    Category('tape', ('roll of tape', 'tape roll'), _tape, (UPRIGHT, (0.2, 'x', 90.0))),
    Category('paintbrush', ('paint brush', 'brush'), _paintbrush),
    Category('padlock', ('lock',), _padlock),
    Category('key', ('door key',), _key),
    Category('marker', ('marker pen', 'felt pen'), _marker),
    Category('pencil', (), _pencil),
    Category('saw', ('hand saw',), _saw),
    Category('bucket', ('pail',), _bucket),
    Category('magnifying glass', ('magnifier',), _magnifier),
)
