"""Categories of food. Lengths are metres, z is up."""

from __future__ import annotations

import numpy as np

from lerf_ros.simulation.category import UPRIGHT, Category, Part
from lerf_ros.simulation.shapes import (
    arc,
    curve,
    cylinder,
    ellipsoid,
    extrude,
    joined,
    lathe,
    moved,
    stretched,
    sweep,
    torus,
    turned,
)


def _banana(rng: np.random.Generator) -> list[Part]:
    bend = rng.uniform(0.075, 0.09)
    path = np.zeros((13, 3))
    path[:, :2] = arc(bend, 25, 155, 13) * (1, 1)
    thickness = np.array([5, 11, 15, 17.5, 18.5, 19, 19, 19, 18, 16.5, 14, 10, 6]) / 1000
    stem = sweep([path[-1], path[-1] + (-0.012, -0.008, 0), path[-1] + (-0.018, -0.016, 0)],
                 [0.006, 0.0045, 0.005], 8)  # fmt: skip
    tip = ellipsoid((0.0055, 0.0055, 0.0055), path[0], 8)
    return [
        Part('peel', sweep(path, thickness, 8)),
        Part('stem', joined(stem, tip), 'wood'),
    ]


def _apple(rng: np.random.Generator) -> list[Part]:
    r = rng.uniform(0.036, 0.042)
    side = curve([(0.10, 0.06), (0.62, 0.03), (0.98, 0.62), (1.0, 1.1), (0.72, 1.62),
                  (0.35, 1.72), (0.0, 1.50)], 20) * r  # fmt: skip
    side[-1, 0] = 0
    body = lathe([(0, 0.10 * r), *side])
    stem = sweep([(0, 0, 1.5 * r), (0.002, 0, 1.8 * r), (0.008, 0, 2.15 * r)], 0.0024, 6)
    leaf = extrude(curve([(0, 0), (0.012, 0.009), (0.032, 0), (0.012, -0.009)], 12, True), 0.0015)
    leaf = moved(turned(leaf, 'y', -20), (0.004, 0, 1.95 * r))
    return [Part('body', body), Part('stem', stem, 'wood'), Part('leaf', leaf, 'leaf')]


def _pear(rng: np.random.Generator) -> list[Part]:
    r = rng.uniform(0.033, 0.038)
    side = curve([(0.55, 0.0), (0.85, 0.25), (1.0, 0.85), (0.72, 1.65), (0.45, 2.3), (0.30, 2.65),
                  (0.0, 2.75)], 20) * r  # fmt: skip
    side[-1, 0] = 0
    body = lathe([(0, 0.0), *side])
    stem = sweep([(0, 0, 2.7 * r), (0.002, 0, 2.95 * r), (0.009, 0, 3.3 * r)], 0.0024, 6)
    return [Part('body', body), Part('stem', stem, 'wood')]


def _carrot(rng: np.random.Generator) -> list[Part]:
    length = rng.uniform(0.13, 0.165)
    side = curve([(0.012, 0), (0.0195, -0.012), (0.015, -0.45 * length), (0.008, -0.85 * length),
                  (0.0, -length)], 14)[::-1]  # fmt: skip
    side[0, 0] = 0
    root = lathe([*side, (0, 0.002)], 18)
    leaves = []
    for angle in np.linspace(0, 300, 6) + rng.uniform(0, 60):
        tip = rng.uniform(0.045, 0.065)
        stalk = sweep(curve([(0, 0, 0), (0.004, 0, 0.4 * tip), (0.018, 0, tip)], 6),
                      [0.0025, 0.003, 0.005, 0.007, 0.006, 0.002], 6)  # fmt: skip
        leaves.append(turned(stalk, 'z', angle))
    return [
        Part('root', turned(root, 'y', 90)),
        Part('leaves', turned(joined(*leaves), 'y', 90), 'leaf'),
    ]


def _mushroom(rng: np.random.Generator) -> list[Part]:
    radius, height = rng.uniform(0.036, 0.044), rng.uniform(0.06, 0.075)
    stem = lathe([(0, 0), (0.021, 0), (0.014, height * 0.6), (0.014, height), (0, height)], 18)
    dome = arc(1.0, 0, 90, 9) * (radius, radius * 0.70)
    dome[-1, 0] = 0
    cap = lathe([(0, 0.004), (radius * 0.9, -0.006), *dome])
    return [Part('stem', stem, 'paper'), Part('cap', moved(cap, (0, 0, height)))]


def _doughnut(rng: np.random.Generator) -> list[Part]:
    major, minor = rng.uniform(0.032, 0.037), rng.uniform(0.017, 0.020)
    dough = moved(stretched(torus(major, minor), (1, 1, 0.85)), (0, 0, minor * 0.85))
    top = arc(minor * 1.07, -5, 185, 12) * (1, 0.88) + (major, minor * 0.85)
    return [Part('dough', dough, 'dough'), Part('icing', lathe(top, 28))]


def _cupcake(rng: np.random.Generator) -> list[Part]:
    r, height = rng.uniform(0.034, 0.039), rng.uniform(0.038, 0.044)
    wrapper = lathe([(0, 0), (r * 0.7, 0), (r, height), (0, height)], 20)
    swirl = []
    for i, size in enumerate((1.12, 0.86, 0.56)):
        swirl.append(ellipsoid((r * size, r * size, 0.013), (0, 0, height + 0.006 + 0.014 * i)))
    cherry = ellipsoid((0.009, 0.009, 0.009), (0, 0, height + 0.052), 12)
    finish = str(rng.choice(['paper', 'dark', 'dough']))
    return [
        Part('icing', joined(*swirl)),
        Part('wrapper', wrapper, finish),
        Part('cherry', cherry, 'cherry'),
    ]


def _ice_cream(rng: np.random.Generator) -> list[Part]:
    r = rng.uniform(0.028, 0.033)
    cone = lathe([(0, 0), (0.003, 0), (r * 0.95, 0.10), (0, 0.10)], 20)
    scoops = joined(
        ellipsoid((r * 1.12, r * 1.12, r), (0, 0, 0.112)),
        ellipsoid((r * 0.85, r * 0.85, r * 0.8), (0, 0, 0.112 + r * 1.15)),
    )
    return [
        Part('cone', turned(cone, 'y', 90), 'dough'),
        Part('scoops', turned(scoops, 'y', 90)),
    ]


def _pineapple(rng: np.random.Generator) -> list[Part]:
    r, height = rng.uniform(0.040, 0.046), rng.uniform(0.10, 0.12)
    side = curve(
        [(r * 0.6, 0), (r, height * 0.35), (r * 0.95, height * 0.7), (r * 0.5, height)], 10
    )
    body = lathe([(0, 0), *side, (0, height)])
    leaves = [cylinder(0.012, 0.02, height - 0.004, 10)]
    for ring, (count, tilt, length) in enumerate(((7, 48, 0.05), (6, 26, 0.065), (4, 8, 0.075))):
        blade = sweep(
            [(0, 0, 0), (0, 0, length * 0.5), (0, 0, length)],
            [(0.009, 0.003), (0.007, 0.0025), (0.0008, 0.0008)], 6, up=(1, 0, 0))  # fmt: skip
        for i in range(count):
            leaf = turned(turned(blade, 'y', tilt), 'z', 360 / count * i + 20 * ring)
            leaves.append(moved(leaf, (0, 0, height)))
    return [Part('body', body), Part('leaves', joined(*leaves), 'leaf')]


CATEGORIES = (
    Category('banana', (), _banana),
    Category('apple', (), _apple),
    Category('pear', (), _pear, (UPRIGHT, (0.4, 'x', 100.0))),
    Category('carrot', (), _carrot),
    Category('mushroom', ('toadstool',), _mushroom, (UPRIGHT, (0.5, 'x', 90.0))),
    Category('doughnut', ('donut',), _doughnut),
    Category('cupcake', ('muffin',), _cupcake),
    Category('ice cream', ('ice cream cone',), _ice_cream),
    Category('pineapple', (), _pineapple),
)
