"""Categories of toys and sports things. Lengths are metres, z is up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lerf_ros.simulation.category import UPRIGHT, Category, Part
from lerf_ros.simulation.shapes import (
    Mesh,
    arc,
    box,
    curve,
    cylinder,
    ellipsoid,
    extrude,
    joined,
    lathe,
    moved,
    stretched,
    sweep,
    turned,
)


def _ball(rng: np.random.Generator) -> list[Part]:
    r = rng.uniform(0.034, 0.05)
    return [Part('ball', ellipsoid((r, r, r), (0, 0, r), 28))]


def _dice(rng: np.random.Generator) -> list[Part]:
    a = rng.uniform(0.042, 0.056)
    dots: list[Mesh] = []
    layout = {
        'x0': [(0, 0)],
        'x90': [(-1, -1), (1, 1)],
        'y90': [(-1, -1), (0, 0), (1, 1)],
        'y-90': [(-1, -1), (1, 1), (-1, 1), (1, -1)],
        'x-90': [(-1, -1), (1, 1), (-1, 1), (1, -1), (0, 0)],
    }
    for face, places in layout.items():
        for x, y in places:
            dot = lathe(
                [(0, a / 2), (a * 0.1, a / 2), (a * 0.1, a / 2 + 0.0006), (0, a / 2 + 0.0006)], 12
            )
            dots.append(
                turned(moved(dot, (x * a * 0.27, y * a * 0.27, 0)), face[0], float(face[1:]))
            )
    # Neither black nor white dots show on every colour; the catalogue resolves 'contrast'.
    return [Part('cube', box((a, a, a))), Part('dots', joined(*dots), 'contrast')]


def _toy_car(rng: np.random.Generator) -> list[Part]:
    length, width = rng.uniform(0.105, 0.125), rng.uniform(0.048, 0.056)
    side = np.array([(-0.5, 0.012), (0.5, 0.012), (0.5, 0.026), (0.44, 0.030), (0.22, 0.032),
                     (-0.5, 0.034)]) * (length, 1)  # fmt: skip
    body = turned(extrude(side, width), 'x', 90)
    cabin = np.array([(-0.40, 0.033), (0.24, 0.032), (0.10, 0.052), (-0.30, 0.052)]) * (length, 1)
    windows = turned(extrude(cabin, width * 0.84), 'x', 90)
    roof = box((length * 0.42, width * 0.86, 0.004), (-length * 0.10, 0, 0.053))
    wheel = turned(cylinder(0.0135, 0.012, -0.006, 18), 'x', 90)
    wheels = [
        moved(wheel, (x * length * 0.31, y * width * 0.46, 0.0135))
        for x in (-1, 1)
        for y in (-1, 1)
    ]
    return [
        Part('body', joined(body, roof)),
        Part('windows', windows, 'glass'),
        Part('wheels', joined(*wheels), 'dark'),
    ]


def _duck(rng: np.random.Generator) -> list[Part]:
    s = rng.uniform(0.9, 1.1)
    belly = ellipsoid((0.045, 0.034, 0.030), (0, 0, 0.022))
    belly = replace(belly, vertices=np.maximum(belly.vertices, (-1, -1, 0)))
    tail = sweep(curve([(-0.03, 0, 0.035), (-0.047, 0, 0.045), (-0.056, 0, 0.062)], 6),
                 np.array([18, 16, 12, 8, 5, 1]) / 1000, 10)  # fmt: skip
    wings = [ellipsoid((0.026, 0.007, 0.016), (-0.006, y, 0.034), 12) for y in (-0.032, 0.032)]
    head = joined(
        ellipsoid((0.025, 0.024, 0.024), (0.028, 0, 0.072)), cylinder(0.016, 0.03, 0.042, 14)
    )
    beak = stretched(ellipsoid((1, 1, 1), segments=12), (0.016, 0.013, 0.0055))
    eyes = [ellipsoid((0.0045, 0.0045, 0.0045), (0.046, y, 0.08), 8) for y in (-0.0125, 0.0125)]
    parts = [
        Part('body', joined(belly, tail, *wings)),
        Part('head', moved(head, (0, 0, 0))),
        Part('beak', moved(beak, (0.056, 0, 0.069)), 'beak'),
        Part('eyes', joined(*eyes), 'dark'),
    ]
    return [Part(part.name, stretched(part.mesh, s), part.finish) for part in parts]


def _airplane(rng: np.random.Generator) -> list[Part]:
    length, span = rng.uniform(0.14, 0.16), rng.uniform(0.15, 0.175)
    path = np.linspace(-0.5, 0.5, 9)[:, None] * (length, 0, 0)
    hull = sweep(path, np.array([5, 9, 12, 15, 16, 16, 15, 12, 5]) / 1000, 12)
    half = [(0.022, 0.01), (-0.018, 0.5), (-0.036, 0.5), (-0.022, 0.01)]
    outline = np.array(half + [(x, -y) for x, y in half[::-1]]) * (1, span)
    wings = moved(extrude(outline, 0.005), (0.012, 0, -0.002))
    fin = turned(extrude([(-0.5, 0), (-0.32, 0), (-0.45, 0.3), (-0.54, 0.3)], 0.03), 'x', 90)
    fin = stretched(fin, (length, 0.15, length))
    stabiliser = moved(stretched(wings, (0.45, 0.36, 0.8)), (-length * 0.46, 0, 0.004))
    glass = ellipsoid((0.016, 0.010, 0.009), (length * 0.27, 0, 0.011), 12)
    parts = [
        Part('fuselage', hull),
        Part('wings', wings),
        Part('tail', joined(fin, stabiliser)),
        Part('cockpit', glass, 'glass'),
    ]
    return [Part(part.name, moved(part.mesh, (0, 0, 0.02)), part.finish) for part in parts]


def _boat(rng: np.random.Generator) -> list[Part]:
    length, height = rng.uniform(0.11, 0.13), rng.uniform(0.11, 0.13)
    deck = curve([(-0.5, 0.15), (-0.2, 0.2), (0.2, 0.16), (0.5, 0.0)], 10) * length
    outline = np.concatenate([deck, deck[-2::-1] * (1, -1)])
    hull = moved(extrude(outline, 0.028), (0, 0, 0.014))
    shrink = np.where(hull.vertices[:, 2:] < 0.014, 0.62, 1.0)
    hull = Mesh(
        hull.vertices * np.concatenate([shrink, shrink, np.ones_like(shrink)], 1),
        hull.faces,
        hull.uv,
    )
    mast = cylinder(0.0035, height, 0.02, 8)
    sail = extrude([(-0.055, 0), (-0.005, 0), (-0.005, height * 0.85)], 0.003)
    jib = extrude([(0.006, 0), (0.045, 0), (0.006, height * 0.7)], 0.003)
    sails = moved(turned(joined(sail, jib), 'x', 90), (0, 0, 0.04))
    return [Part('hull', hull), Part('sail', sails, 'white'), Part('mast', mast, 'wood')]


def _traffic_cone(rng: np.random.Generator) -> list[Part]:
    r, height = rng.uniform(0.033, 0.038), rng.uniform(0.11, 0.13)
    cone = lathe([(0, 0.008), (r, 0.008), (0.006, height), (0.004, height), (0, height)], 24)
    stripe_low, stripe_high = 0.42, 0.66
    radius = [r + (0.006 - r) * t + 0.0008 for t in (stripe_low, stripe_high)]
    z = [0.008 + (height - 0.008) * t for t in (stripe_low, stripe_high)]
    band = lathe([(radius[0] - 0.002, z[0]), (radius[0], z[0]), (radius[1], z[1]),
                  (radius[1] - 0.002, z[1])], 24)  # fmt: skip
    base = box((r * 2.5, r * 2.5, 0.009), (0, 0, 0.0045))
    return [Part('cone', cone), Part('stripe', band, 'contrast'), Part('base', base)]


def _dumbbell(rng: np.random.Generator) -> list[Part]:
    length, radius = rng.uniform(0.07, 0.085), rng.uniform(0.026, 0.031)
    disc = [
        (0, 0),
        (radius * 0.9, 0),
        (radius, 0.004),
        (radius, 0.028),
        (radius * 0.9, 0.032),
        (0, 0.032),
    ]
    weight = lathe(disc, 6)
    weights = joined(moved(weight, (0, 0, length / 2)), moved(weight, (0, 0, -length / 2 - 0.032)))
    bar = cylinder(0.0095, length, -length / 2, 14)
    return [
        Part('weights', turned(turned(weights, 'z', 30), 'y', 90)),
        Part('bar', turned(bar, 'y', 90), 'metal'),
    ]


def _teddy(rng: np.random.Generator) -> list[Part]:
    s = rng.uniform(0.92, 1.1)
    head_z = 0.094
    ears = [ellipsoid((0.008, 0.013, 0.013), (0, y, head_z + 0.024), 12) for y in (-0.022, 0.022)]
    head = joined(ellipsoid((0.028, 0.031, 0.028), (0, 0, head_z)), *ears)
    arms = [ellipsoid((0.014, 0.026, 0.012), (0.012, y, 0.057), 12) for y in (-0.038, 0.038)]
    legs = [ellipsoid((0.034, 0.015, 0.015), (0.036, y, 0.016), 14) for y in (-0.024, 0.024)]
    muzzle = ellipsoid((0.012, 0.014, 0.011), (0.025, 0, head_z - 0.006), 12)
    eyes = [
        ellipsoid((0.004, 0.004, 0.004), (0.0255, y, head_z + 0.008), 8) for y in (-0.011, 0.011)
    ]
    nose = ellipsoid((0.004, 0.005, 0.004), (0.036, 0, head_z - 0.002), 8)
    parts = [
        Part('head', head),
        Part('body', ellipsoid((0.030, 0.033, 0.038), (0, 0, 0.040))),
        Part('arms', joined(*arms)),
        Part('legs', joined(*legs)),
        Part('muzzle', muzzle, 'paper'),
        Part('eyes', joined(nose, *eyes), 'dark'),
    ]
    return [Part(part.name, stretched(part.mesh, s), part.finish) for part in parts]


def _pawn(rng: np.random.Generator) -> list[Part]:
    height, r = rng.uniform(0.075, 0.09), rng.uniform(0.026, 0.03)
    side = curve([(r * 0.72, 0.016), (r * 0.36, 0.034), (r * 0.32, height * 0.72)], 8)
    foot = [(0, 0), (r, 0), (r, 0.008), (r * 0.85, 0.014)]
    collar = [(r * 0.62, height * 0.74), (r * 0.62, height * 0.79), (0, height * 0.79)]
    return [
        Part('base', lathe([*foot, *side, *collar])),
        Part('head', ellipsoid((r * 0.6,) * 3, (0, 0, height))),
    ]


def _paddle(rng: np.random.Generator) -> list[Part]:
    radius = rng.uniform(0.05, 0.058)
    face = arc(radius, 20, 340, 26) * (1.05, 0.95)
    outline = np.concatenate([face, [(radius * 1.15, -0.013), (radius * 1.15, 0.013)]])
    blade = extrude(outline, 0.012)
    handle = sweep([(radius * 0.9, 0, 0), (radius + 0.03, 0, 0), (radius + 0.085, 0, 0)],
                   [(0.012, 0.009), (0.011, 0.010), (0.015, 0.011)], 12)  # fmt: skip
    return [Part('blade', blade), Part('handle', handle, 'wood')]


def _rocket(rng: np.random.Generator) -> list[Part]:
    r, height = rng.uniform(0.022, 0.026), rng.uniform(0.10, 0.12)
    side = curve([(r * 0.8, 0.012), (r * 1.08, height * 0.4), (r * 0.85, height * 0.72)], 8)
    body = lathe([(0, 0.012), *side, (0, height * 0.72)], 24)
    nose_side = curve(
        [(r * 0.87, height * 0.715), (r * 0.5, height * 0.92), (0, height * 1.05)], 8
    )
    nose_side[-1, 0] = 0
    fin = turned(extrude([(r * 0.5, 0.05), (r * 1.0, 0.045), (r * 2.1, 0.0), (r * 1.4, 0.004),
                          (r * 0.7, 0.016)], 0.005), 'x', 90)  # fmt: skip
    fins = [turned(fin, 'z', a) for a in (0, 90, 180, 270)]
    port = moved(turned(cylinder(0.010, 0.006, 0, 14), 'y', 90), (r * 0.88, 0, height * 0.5))
    return [
        Part('body', body),
        Part('nose', lathe([(0, height * 0.71), *nose_side], 24), 'contrast'),
        Part('fins', joined(*fins)),
        Part('window', port, 'glass'),
    ]


CATEGORIES = (
    Category('ball', ('toy ball',), _ball),
    Category('dice', ('die',), _dice),
    Category('toy car', ('car',), _toy_car),
    Category('rubber duck', ('duck', 'toy duck'), _duck),
    Category('toy airplane', ('airplane', 'toy plane'), _airplane),
    Category('toy boat', ('sailing boat', 'sailboat'), _boat),
    Category('traffic cone', ('road cone', 'pylon'), _traffic_cone),
    Category('dumbbell', ('hand weight',), _dumbbell),
    Category('teddy bear', ('teddy', 'toy bear'), _teddy),
    Category('chess pawn', ('pawn', 'chess piece'), _pawn, (UPRIGHT, (0.15, 'x', 90.0))),
    Category('paddle', ('table tennis bat', 'ping pong paddle'), _paddle),
    Category('toy rocket', ('rocket',), _rocket),
)
