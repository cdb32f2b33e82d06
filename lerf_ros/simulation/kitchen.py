"""Categories found in a kitchen. Lengths are metres, z is up."""

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
    stretched,
    sweep,
    turned,
    vessel,
)


def _mug(rng: np.random.Generator) -> list[Part]:
    radius, height = rng.uniform(0.036, 0.044), rng.uniform(0.085, 0.105)
    body = vessel([(radius * 0.93, 0), (radius, 0.008), (radius, height)], 0.004)
    loop = arc(1.0, 100, -100, 14) * (0.030, height * 0.33)
    path = np.stack([radius + loop[:, 0], 0 * loop[:, 0], height * 0.5 + loop[:, 1]], axis=1)
    return [Part('body', body), Part('handle', sweep(path, (0.0055,), 8, up=(0, 1, 0)))]


def _goblet(rng: np.random.Generator) -> list[Part]:
    radius, stem = rng.uniform(0.036, 0.042), rng.uniform(0.06, 0.085)
    foot = lathe([(0, 0), (0.036, 0), (0.036, 0.004), (0.007, 0.010), (0, 0.010)])
    rod = cylinder(0.005, stem, 0.008, 12)
    outer = curve([(0.004, 0), (radius * 0.8, 0.022), (radius, 0.050), (radius * 0.82, 0.09)], 10)
    bowl = moved(vessel(outer, 0.0025), (0, 0, stem + 0.006))
    return [Part('bowl', bowl), Part('stem', rod), Part('foot', foot)]


def _bowl(rng: np.random.Generator) -> list[Part]:
    radius, height = rng.uniform(0.065, 0.085), rng.uniform(0.048, 0.062)
    foot = [(radius * 0.42, 0), (radius * 0.45, 0.006)]
    side = curve([(radius * 0.45, 0.006), (radius * 0.82, height * 0.45), (radius, height)], 9)
    return [Part('body', vessel(np.concatenate([foot, side[1:]]), 0.005))]


def _plate(rng: np.random.Generator) -> list[Part]:
    radius = rng.uniform(0.085, 0.105)
    dish = lathe([(0, 0), (radius * 0.62, 0), (radius * 0.68, 0.010), (radius * 0.68, 0.013),
                  (radius * 0.6, 0.005), (0, 0.005)])  # fmt: skip
    rim = lathe([(radius * 0.66, 0.009), (radius, 0.016), (radius, 0.019), (radius * 0.66, 0.013)])
    return [Part('dish', dish), Part('rim', rim)]


def _bottle(rng: np.random.Generator) -> list[Part]:
    radius, height = rng.uniform(0.030, 0.037), rng.uniform(0.19, 0.23)
    shoulder = height * 0.62
    side = curve([(radius, shoulder), (radius * 0.8, shoulder + 0.022), (0.014, height * 0.83)], 8)
    body = lathe([(0, 0), (radius * 0.9, 0), (radius, 0.006), *side, (0.013, height * 0.85),
                  (0, height * 0.85)])  # fmt: skip
    neck = cylinder(0.0125, height * 0.11, height * 0.84, 16)
    cap = cylinder(0.0165, height * 0.08, height * 0.92, 18)
    finish = str(rng.choice(['white', 'dark', 'metal']))
    return [Part('body', body), Part('neck', neck), Part('cap', cap, finish)]


def _can(rng: np.random.Generator) -> list[Part]:
    radius, height = rng.uniform(0.031, 0.036), rng.uniform(0.105, 0.125)
    body = cylinder(radius, height * 0.88, height * 0.06, 28)
    lip = radius * 0.84
    top = lathe([(0, 0.94), (1.0, 0.94), (0.84, 1.0), (0.78, 1.0), (0.76, 0.975), (0, 0.975)])
    bottom = lathe([(0, 0), (lip, 0), (radius, height * 0.06), (0, height * 0.06)])
    tab = moved(box((0.018, 0.010, 0.002)), (0.006, 0, height * 0.985))
    ends = joined(stretched(top, (radius, radius, height)), bottom)
    return [Part('body', body), Part('top', ends, 'metal'), Part('tab', tab, 'metal')]


def _teapot(rng: np.random.Generator) -> list[Part]:
    radius = rng.uniform(0.056, 0.064)
    height = radius * rng.uniform(1.45, 1.7)
    side = curve(
        [(radius * 0.6, 0), (radius, height * 0.42), (radius * 0.85, height * 0.78),
         (radius * 0.48, height)], 12)  # fmt: skip
    body = lathe([(0, 0), *side, (0, height)])
    lid = lathe([(0, 0), (radius * 0.50, 0), (radius * 0.40, 0.010), (0.006, 0.016),
                 (0.006, 0.019), (0.011, 0.025), (0.008, 0.033), (0, 0.035)])  # fmt: skip
    path = curve(
        [(radius * 0.8, 0, height * 0.35), (radius * 1.35, 0, height * 0.48),
         (radius * 1.5, 0, height * 0.82), (radius * 1.85, 0, height * 1.0)], 10)  # fmt: skip
    spout = sweep(path, np.linspace(0.018, 0.008, 10), 12)
    loop = arc(1.0, 80, 280, 12) * (radius * 0.72, height * 0.36)
    grip = np.stack([loop[:, 0] - radius * 0.8, 0 * loop[:, 0], loop[:, 1] + height * 0.5], axis=1)
    return [
        Part('body', body),
        Part('spout', spout),
        Part('handle', sweep(grip, 0.0065, 8, up=(0, 1, 0))),
        Part('lid', moved(lid, (0, 0, height - 0.001)), str(rng.choice(['main', 'main', 'dark']))),
    ]


def _pan(rng: np.random.Generator) -> list[Part]:
    radius = rng.uniform(0.07, 0.085)
    pan = vessel([(radius * 0.82, 0), (radius * 0.95, 0.016), (radius, 0.034)], 0.004)
    length = rng.uniform(0.10, 0.125)
    path = [(radius - 0.004, 0, 0.026), (radius + 0.03, 0, 0.036), (radius + length, 0, 0.045)]
    handle = sweep(path, [(0.008, 0.005), (0.009, 0.006), (0.012, 0.007)], 10)
    return [Part('pan', pan), Part('handle', handle, 'dark')]


def _spoon(rng: np.random.Generator) -> list[Part]:
    length = rng.uniform(0.155, 0.185)
    # A shallow dish: an ellipsoid's lower half with a lowered inside.
    side = arc(1.0, -90, 0, 7)
    inner = side[::-1] * (0.86, 0.7)
    profile = np.concatenate([side, inner])
    profile[[0, -1], 0] = 0
    dish = moved(stretched(lathe(profile, 22), (0.031, 0.021, 0.013)), (0, 0, 0.013))
    path = curve([(0.028, 0, 0.012), (0.06, 0, 0.017), (length - 0.03, 0, 0.006)], 9)
    widths = np.stack([np.interp(np.arange(9), [0, 2, 8], [0.004, 0.004, 0.008]),
                       np.full(9, 0.0026)], axis=1)  # fmt: skip
    return [Part('bowl', dish), Part('handle', sweep(path, widths, 8))]


def _fork(rng: np.random.Generator) -> list[Part]:
    length = rng.uniform(0.16, 0.185)
    root = extrude([(0, -0.006), (0.012, -0.0145), (0.024, -0.0145), (0.024, 0.0145),
                    (0.012, 0.0145), (0, 0.006)], 0.0035)  # fmt: skip
    tines = [
        box((0.038, 0.0045, 0.0035), (0.041, y, 0)) for y in (-0.0122, -0.0041, 0.0041, 0.0122)
    ]
    path = curve([(-length + 0.06, 0, -0.002), (-0.05, 0, 0.004), (0.004, 0, 0)], 8)
    widths = np.stack([np.linspace(0.009, 0.0045, 8), np.full(8, 0.0026)], axis=1)
    return [
        Part('tines', moved(joined(root, *tines), (0, 0, 0.006))),
        Part('handle', moved(sweep(path, widths, 8), (0, 0, 0.006))),
    ]


def _knife(rng: np.random.Generator) -> list[Part]:
    length = rng.uniform(0.11, 0.14)
    outline = [(0, -0.013), (length * 0.6, -0.013), (length * 0.88, -0.005), (length, 0.010),
               (length * 0.9, 0.013), (0, 0.013)]  # fmt: skip
    handle = sweep([(-0.095, 0, 0), (-0.085, 0.002, 0), (-0.04, -0.001, 0), (0.002, 0, 0)],
                   [(0.008, 0.006), (0.012, 0.008), (0.010, 0.008), (0.012, 0.007)],
                   10)  # fmt: skip
    return [Part('blade', extrude(outline, 0.003), 'metal'), Part('handle', handle)]


def _whisk(rng: np.random.Generator) -> list[Part]:
    width, length = rng.uniform(0.026, 0.032), rng.uniform(0.10, 0.12)
    t = np.linspace(0, math.pi, 15)
    loop = np.stack([length * np.sin(t) ** 0.8, 0 * t, width * np.cos(t) * np.sin(t) ** 0.35],
                    axis=1)  # fmt: skip
    wires = [turned(sweep(loop, 0.0016, 6, up=(0, 1, 0)), 'x', a) for a in (0, 45, 90, 135)]
    handle = sweep([(-0.10, 0, 0), (-0.09, 0, 0), (-0.02, 0, 0), (0.006, 0, 0)],
                   [0.009, 0.0115, 0.0095, 0.007], 12)  # fmt: skip
    return [Part('wires', joined(*wires), 'metal'), Part('handle', handle)]


def _rolling_pin(rng: np.random.Generator) -> list[Part]:
    length, radius = rng.uniform(0.13, 0.16), rng.uniform(0.020, 0.025)
    roller = cylinder(radius, length, -length / 2, 24)
    grip = [(0, 0.5), (0.006, 0.5), (0.007, 0.54), (0.0115, 0.6), (0.0115, 0.72), (0.007, 0.78),
            (0, 0.785)]  # fmt: skip
    ends = np.asarray(grip) * (1, length)
    handles = joined(lathe(ends, 14), turned(lathe(ends, 14), 'x', 180))
    return [
        Part('roller', turned(roller, 'y', 90)),
        Part('handles', turned(handles, 'y', 90), str(rng.choice(['main', 'wood', 'dark']))),
    ]


def _spatula(rng: np.random.Generator) -> list[Part]:
    length = rng.uniform(0.12, 0.14)
    blade = extrude([(0, -0.016), (0.02, -0.031), (0.085, -0.034), (0.085, 0.034),
                     (0.02, 0.031), (0, 0.016)], 0.004)  # fmt: skip
    path = [(0.004, 0, 0), (-0.04, 0, 0.010), (-length, 0, 0.012)]
    handle = sweep(curve(path, 7), [(0.006, 0.004)] * 3 + [(0.009, 0.006)] * 4, 8)
    finish = str(rng.choice(['dark', 'wood']))
    return [Part('blade', moved(blade, (0, 0, 0.004))), Part('handle', handle, finish)]


def _jar(rng: np.random.Generator) -> list[Part]:
    radius, height = rng.uniform(0.037, 0.044), rng.uniform(0.08, 0.10)
    side = curve(
        [(radius, height * 0.8), (radius * 0.97, height * 0.92), (radius * 0.78, height)], 6
    )
    body = lathe([(0, 0), (radius * 0.93, 0), (radius, 0.007), *side, (0, height)])
    lid = lathe([(0, height), (radius * 0.9, height), (radius * 0.9, height + 0.018),
                 (radius * 0.86, height + 0.021), (0, height + 0.021)])  # fmt: skip
    label_size = (radius + 0.0006, height * 0.4, height * 0.22)
    return [
        Part('body', body),
        Part('lid', lid, str(rng.choice(['metal', 'dark', 'wood']))),
        Part('label', cylinder(*label_size, segments=28), 'white'),
    ]


CATEGORIES = (
    Category('mug', ('coffee mug', 'cup'), _mug, (UPRIGHT, (0.12, 'x', 90.0))),
    Category('wine glass', ('goblet',), _goblet),
    Category('bowl', ('soup bowl',), _bowl),
    Category('plate', ('dinner plate',), _plate),
    Category('bottle', ('water bottle', 'flask'), _bottle, (UPRIGHT, (0.3, 'x', 90.0))),
    Category('can', ('soda can', 'tin can'), _can, (UPRIGHT, (0.2, 'x', 90.0))),
    Category('teapot', ('tea pot', 'kettle'), _teapot),
    Category('frying pan', ('pan', 'skillet'), _pan),
    Category('spoon', ('tablespoon',), _spoon),
    Category('fork', ('dinner fork',), _fork),
    Category('knife', ('kitchen knife',), _knife),
    Category('whisk', ('egg beater',), _whisk),
    Category('rolling pin', ('dough roller',), _rolling_pin),
    Category('spatula', ('turner',), _spatula),
    Category('jar', ('jam jar', 'storage jar'), _jar),
)
