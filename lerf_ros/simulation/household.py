"""Categories found around the house. Lengths are metres, z is up."""

from __future__ import annotations

import math

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
    vessel,
)


def _box(rng: np.random.Generator) -> list[Part]:
    x, y, z = rng.uniform(0.07, 0.11), rng.uniform(0.05, 0.08), rng.uniform(0.06, 0.10)
    body = box((x, y, z), (0, 0, z / 2))
    lid = box((x + 0.006, y + 0.006, z * 0.25), (0, 0, z * 0.9))
    top = z * 1.025
    ribbon = joined(
        box((x + 0.008, 0.012, top), (0, 0, top / 2 + 0.001)),
        box((0.012, y + 0.008, top), (0, 0, top / 2 + 0.001)),
    )
    return [Part('body', body), Part('lid', lid), Part('ribbon', ribbon, 'contrast')]


def _book(rng: np.random.Generator) -> list[Part]:
    x, y, z = rng.uniform(0.10, 0.125), rng.uniform(0.14, 0.17), rng.uniform(0.02, 0.034)
    board = 0.0035
    covers = joined(
        box((x, y, board), (0, 0, board / 2)),
        box((x, y, board), (0, 0, z - board / 2)),
        box((board, y, z - 2 * board), (-x / 2 + board / 2, 0, z / 2)),
    )
    pages = box((x - board - 0.007, y - 0.010, z - 2 * board), (-0.002, 0, z / 2))
    return [Part('cover', covers), Part('pages', pages, 'paper')]


def _candle(rng: np.random.Generator) -> list[Part]:
    radius, height = rng.uniform(0.019, 0.025), rng.uniform(0.085, 0.12)
    wax = lathe([(0, 0.008), (radius, 0.008), (radius, height - 0.004), (radius * 0.9, height),
                 (0, height - 0.003)], 20)  # fmt: skip
    flame = lathe(curve([(0, 0), (0.007, 0.009), (0.004, 0.021), (0, 0.03)], 9).clip(0), 12)
    wick = cylinder(0.0016, 0.012, height - 0.004, 6)
    dish = lathe([(0, 0), (radius * 1.7, 0), (radius * 2.0, 0.012), (radius * 1.9, 0.013),
                  (radius * 1.6, 0.006), (0, 0.006)])  # fmt: skip
    return [
        Part('wax', wax),
        Part('wick', wick, 'dark'),
        Part('flame', moved(flame, (0, 0, height + 0.004)), 'flame'),
        Part('holder', dish, 'metal'),
    ]


def _lamp(rng: np.random.Generator) -> list[Part]:
    height, radius = rng.uniform(0.10, 0.125), rng.uniform(0.052, 0.062)
    base = lathe([(0, 0), (0.042, 0), (0.042, 0.008), (0.012, 0.02), (0, 0.02)])
    pole = cylinder(0.006, height, 0.016, 12)
    wall = [(radius, 0), (radius * 0.55, 0.075)]
    shade = lathe([*wall, (radius * 0.55 - 0.002, 0.075), (radius - 0.002, 0.0), (radius, 0)])
    finish = str(rng.choice(['metal', 'wood', 'dark']))
    return [
        Part('shade', moved(shade, (0, 0, height - 0.018))),
        Part('pole', pole, finish),
        Part('base', base, finish),
    ]


def _vase(rng: np.random.Generator) -> list[Part]:
    radius, height = rng.uniform(0.042, 0.05), rng.uniform(0.14, 0.18)
    neck = rng.uniform(0.34, 0.45)
    side = curve(
        [(radius * 0.55, 0), (radius, height * 0.36), (radius * neck, height * 0.75),
         (radius * neck * 1.05, height * 0.86), (radius * 0.8, height)], 18)  # fmt: skip
    return [Part('body', vessel(side, 0.003))]


def _hat(rng: np.random.Generator) -> list[Part]:
    radius, height = rng.uniform(0.045, 0.053), rng.uniform(0.062, 0.078)
    brim = lathe([(0, 0), (radius * 1.75, 0.004), (radius * 1.78, 0.009), (radius * 0.9, 0.008),
                  (0, 0.008)])  # fmt: skip
    side = curve([(radius, 0.006), (radius * 0.95, height * 0.7), (radius * 0.8, height),
                  (0, height * 0.93)], 10)  # fmt: skip
    side[-1, 0] = 0
    band = lathe([(radius * 1.01, 0.008), (radius * 1.03, 0.008), (radius * 1.02, 0.024),
                  (radius * 0.9, 0.024)])  # fmt: skip
    return [
        Part('crown', lathe(side)),
        Part('brim', brim),
        Part('band', band, str(rng.choice(['dark', 'white']))),
    ]


def _shoe(rng: np.random.Generator) -> list[Part]:
    length = rng.uniform(0.16, 0.185)
    half = np.array(
        [(0.0, 0.022), (0.25, 0.024), (0.5, 0.026), (0.75, 0.032), (0.93, 0.024), (1, 0.0)]
    )
    left = curve(half, 14)
    outline = np.concatenate([left, left[-2::-1] * (1, -1)]) * (length, 1)
    sole = moved(extrude(outline, 0.014), (0, 0, 0.007))
    at = np.linspace(0.03, 0.96, 12)
    top = np.interp(at, [0, 0.1, 0.35, 0.55, 0.8, 1], [0.062, 0.07, 0.06, 0.045, 0.032, 0.014])
    wide = np.interp(at, [0, 0.3, 0.7, 0.9, 1], [0.018, 0.023, 0.027, 0.022, 0.006])
    path = np.stack([at * length, 0 * at, 0.012 + top / 2], axis=1)
    upper = sweep(path, np.stack([wide, top / 2], axis=1), 16)
    hole = ellipsoid((0.034, 0.016, 0.010), (0.043, 0, 0.077), 14)
    lace = [box((0.004, 0.034, 0.004), (x * length, 0, z))
            for x, z in ((0.5, 0.066), (0.58, 0.0585), (0.66, 0.052))]  # fmt: skip
    return [
        Part('upper', upper),
        Part('sole', sole, 'white'),
        Part('opening', turned(hole, 'y', 0), 'dark'),
        Part('laces', joined(*lace), 'white'),
    ]


def _clock(rng: np.random.Generator) -> list[Part]:
    radius = rng.uniform(0.042, 0.05)
    case = lathe([(0, -0.018), (radius * 0.92, -0.018), (radius, -0.012), (radius, 0.016),
                  (radius * 0.9, 0.019), (radius * 0.88, 0.014), (0, 0.014)])  # fmt: skip
    face = cylinder(radius * 0.88, 0.002, 0.014, 24)
    hands = joined(box((0.005, radius * 0.6, 0.002), (0, radius * 0.28, 0.017)),
                   box((radius * 0.45, 0.005, 0.002), (radius * 0.2, 0, 0.017)))  # fmt: skip
    bell = stretched(ellipsoid((1, 1, 1), segments=12), (0.017, 0.017, 0.013))
    bells = [moved(bell, (x, radius * 1.06, 0)) for x in (-radius * 0.55, radius * 0.55)]
    feet = [box((0.012, 0.022, 0.05), (x, -radius * 0.98, 0)) for x in (-0.022, 0.022)]
    stand = [
        Part('case', case),
        Part('face', face, 'white'),
        Part('hands', hands, 'dark'),
        Part('bells', joined(*bells), 'metal'),
        Part('feet', joined(*feet)),
    ]
    return [Part(part.name, turned(part.mesh, 'x', 90), part.finish) for part in stand]


def _camera(rng: np.random.Generator) -> list[Part]:
    x, z = rng.uniform(0.09, 0.11), rng.uniform(0.056, 0.066)
    body = joined(box((x, 0.032, z), (0, 0, z / 2)), box((0.03, 0.028, 0.014), (0, 0, z + 0.006)))
    tube = lathe([(0, 0), (0.024, 0), (0.024, 0.018), (0.021, 0.018), (0.021, 0.032),
                  (0.017, 0.032), (0.015, 0.026), (0, 0.026)], 22)  # fmt: skip
    lens = moved(turned(tube, 'x', 90), (0, -0.014, z * 0.48))
    glass = moved(turned(cylinder(0.0155, 0.002, 0, 18), 'x', 90), (0, -0.0405, z * 0.48))
    button = moved(cylinder(0.007, 0.006, z - 0.001, 12), (x * 0.35, 0, 0))
    return [
        Part('body', body),
        Part('lens', joined(lens), 'dark'),
        Part('glass', glass, 'glass'),
        Part('button', button, 'metal'),
    ]


def _headphones(rng: np.random.Generator) -> list[Part]:
    radius = rng.uniform(0.062, 0.07)
    loop = arc(radius, -15, 195, 18) * (1, 1.05)
    band = sweep(np.column_stack([loop, 0 * loop[:, 0]]), [(0.004, 0.009)] * 18, 8)
    cup = lathe(
        [(0, 0), (0.026, 0), (0.031, 0.005), (0.031, 0.014), (0.024, 0.018), (0, 0.018)], 20
    )
    pad = lathe(
        [(0, 0), (0.027, 0), (0.029, 0.006), (0.022, 0.011), (0.014, 0.011), (0.012, 0), (0, 0)],
        20,
    )
    right = moved(turned(cup, 'y', 90), (radius - 0.008, -0.028, 0))
    left = moved(turned(cup, 'y', -90), (-radius + 0.008, -0.028, 0))
    pads = joined(moved(turned(pad, 'y', -90), (radius - 0.008, -0.028, 0)),
                  moved(turned(pad, 'y', 90), (-radius + 0.008, -0.028, 0)))  # fmt: skip
    return [
        Part('band', band, str(rng.choice(['main', 'main', 'dark']))),
        Part('ear cups', joined(left, right)),
        Part('pads', pads, 'dark'),
    ]


def _plant(rng: np.random.Generator) -> list[Part]:
    r, height = rng.uniform(0.034, 0.041), rng.uniform(0.055, 0.065)
    pot = vessel([(r * 0.68, 0), (r * 0.92, height * 0.75), (r * 1.08, height * 0.75),
                  (r * 1.08, height)], 0.004)  # fmt: skip
    soil = cylinder(r * 0.95, 0.004, height * 0.85, 18)
    leaves: list[Mesh] = []
    for i in range(9):
        length, tilt = rng.uniform(0.06, 0.09), rng.uniform(8, 52)
        path = curve(
            [(0, 0, 0), (length * 0.25, 0, length * 0.6), (length * 0.7, 0, length * 0.85)], 6
        )
        blade = sweep(
            path, np.array([(2, 2), (7, 1.5), (11, 1.5), (11, 1.5), (7, 1.5), (1, 1)]) / 1000, 6
        )
        leaf = turned(turned(blade, 'y', tilt - 30), 'z', 40 * i + rng.uniform(0, 25))
        leaves.append(moved(leaf, (0, 0, height * 0.85)))
    return [Part('pot', pot), Part('soil', soil, 'soil'), Part('leaves', joined(*leaves), 'leaf')]


def _cactus(rng: np.random.Generator) -> list[Part]:
    r, height = rng.uniform(0.030, 0.036), rng.uniform(0.04, 0.048)
    pot = lathe([(0, 0), (r * 0.75, 0), (r, height), (0, height)], 20)
    tall = rng.uniform(0.09, 0.11)
    trunk = sweep(curve([(0, 0, 0), (0, 0, tall * 0.9), (0, 0, tall)], 8),
                  np.array([15, 16, 17, 17, 17, 16, 13, 6]) / 1000, 10)  # fmt: skip
    arm = sweep(curve([(0.008, 0, 0), (0.032, 0, 0.004), (0.036, 0, 0.04)], 8), 0.008, 8)
    arms = joined(
        moved(arm, (0, 0, tall * 0.35)), moved(turned(arm, 'z', 180), (0, 0, tall * 0.5))
    )
    plant = moved(joined(trunk, arms), (0, 0, height - 0.004))
    return [Part('stem', plant), Part('pot', pot, 'clay')]


def _bulb(rng: np.random.Generator) -> list[Part]:
    r = rng.uniform(0.030, 0.035)
    side = curve(
        [(0.013, 0), (0.016, 0.014), (r, 0.048), (r * 0.72, 0.048 + r * 0.75), (0, 0.05 + r)], 14
    )
    side[-1, 0] = 0
    screw = lathe([(0, -0.03), (0.006, -0.03), (0.012, -0.024), (0.0135, -0.02), (0.0125, -0.016),
                   (0.0135, -0.012), (0.0125, -0.008), (0.0135, 0.001), (0, 0.001)],
                  16)  # fmt: skip
    return [
        Part('bulb', turned(lathe([(0, 0), *side]), 'y', 90)),
        Part('base', turned(screw, 'y', 90), 'metal'),
    ]


def _spray_bottle(rng: np.random.Generator) -> list[Part]:
    radius, height = rng.uniform(0.031, 0.036), rng.uniform(0.11, 0.13)
    side = curve([(radius, height * 0.55), (radius * 0.8, height * 0.8), (0.012, height)], 8)
    body = lathe([(0, 0), (radius * 0.95, 0), (radius, 0.006), *side, (0, height)])
    top = height + 0.024
    head = joined(cylinder(0.014, 0.02, height, 14), box((0.068, 0.02, 0.02), (0.014, 0, top)))
    nozzle = moved(turned(cylinder(0.007, 0.012, 0, 10), 'y', 90), (0.046, 0, top))
    path = [(0.024, 0, top - 0.006), (0.032, 0, top - 0.022), (0.026, 0, top - 0.045)]
    finish = str(rng.choice(['white', 'dark']))
    return [
        Part('body', body),
        Part('nozzle', joined(head, nozzle), finish),
        Part('trigger', sweep(curve(path, 6), (0.0045,), 8), finish),
    ]


def _watering_can(rng: np.random.Generator) -> list[Part]:
    r, height = rng.uniform(0.042, 0.048), rng.uniform(0.075, 0.088)
    body = vessel([(r, 0), (r, height * 0.9), (r * 0.85, height)], 0.003)
    path = [(r * 0.9, 0, height * 0.2), (r * 1.6, 0, height * 0.65), (r * 2.2, 0, height * 1.15)]
    spout = sweep(path, [0.011, 0.008, 0.006], 10)
    rose = lathe([(0, -0.006), (0.006, -0.006), (0.018, 0.014), (0.016, 0.018), (0, 0.018)], 14)
    rose = moved(turned(rose, 'y', 48), (r * 2.2, 0, height * 1.15))
    loop = arc(1.0, 50, 265, 14) * (r * 0.85, height * 0.52)
    grip = np.stack([loop[:, 0] - r * 0.55, 0 * loop[:, 0], loop[:, 1] + height * 0.72], axis=1)
    return [
        Part('body', body),
        Part('spout', joined(spout, rose)),
        Part('handle', sweep(grip, 0.0055, 8, up=(0, 1, 0))),
    ]


def _basket(rng: np.random.Generator) -> list[Part]:
    r, height = rng.uniform(0.055, 0.065), rng.uniform(0.05, 0.06)
    side = curve([(r * 0.75, 0), (r * 0.95, height * 0.5), (r, height)], 6)
    body = stretched(vessel(side, 0.005), (1.2, 0.85, 1))
    t = np.linspace(0, math.pi, 15)
    loop = np.stack([0 * t, r * 0.82 * np.cos(t), height + 0.075 * np.sin(t)], axis=1)
    return [Part('body', body), Part('handle', sweep(loop, (0.0052,), 8, up=(1, 0, 0)))]


CATEGORIES = (
    Category('box', ('carton', 'gift box'), _box),
    Category('book', ('hardcover book',), _book),
    Category('candle', (), _candle),
    Category('lamp', ('table lamp', 'desk lamp'), _lamp),
    Category('vase', ('flower vase',), _vase),
    Category('hat', ('sun hat',), _hat),
    Category('shoe', ('sneaker', 'trainer'), _shoe),
    Category('clock', ('alarm clock',), _clock),
    Category('camera', ('photo camera',), _camera),
    Category('headphones', ('headset',), _headphones),
    Category('potted plant', ('plant', 'house plant'), _plant),
    Category('cactus', (), _cactus),
    Category('light bulb', ('bulb',), _bulb),
    Category('spray bottle', ('sprayer',), _spray_bottle),
    Category('watering can', (), _watering_can),
    Category('basket', (), _basket, (UPRIGHT,)),
)
