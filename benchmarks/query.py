"""How long answers take, and how far the fast ways are from the naive one.

    python benchmarks/query.py [--json FILE] [--quick]

Three tables over made-up points and a fresh field of the default size with the shipped encoder,
and two over a small simulated table: the heat map of a view, and ten clients that ask at once
while the map trains. Times are medians, in milliseconds, on two threads.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lerf_ros.config import FeatureOptions, FieldOptions, LerfConfig, QueryOptions
from lerf_ros.features.encoder import LanguageEncoder
from lerf_ros.features.load import load_encoder
from lerf_ros.field.model import LerfField
from lerf_ros.field.scene_box import SceneBox
from lerf_ros.maps.submap import Submap
from lerf_ros.query.embedding_cache import EmbeddingCache
from lerf_ros.query.engine import QueryEngine, QueryRequest
from lerf_ros.query.phrase import CANONICAL_NEGATIVES, Phrase
from lerf_ros.query.reading import FieldReader, folded_cosines
from lerf_ros.query.relevancy import naive_scale_relevancy, relevancy, search_scales
from lerf_ros.scheduling.pieces import finish
from lerf_ros.scheduling.worker import QUERY, Worker
from lerf_ros.surface.points import SurfacePoints

VOXEL_M = 0.01
SPACING_M = 0.25
RADIUS_M = 0.04
SCALES = 30
COUNTS = (5_000, 20_000, 50_000, 100_000, 200_000)
THINGS = ('mug', 'bowl', 'ball', 'pear', 'jar', 'book', 'spoon', 'hammer', 'candle', 'shoe')
COLOURS = ('red', 'green', 'blue', 'yellow', 'white', 'black')
CLIENTS = 10


def median_ms(job: Callable[[], object], repeats: int) -> float:
    """Returns the median time of a job after one run to warm up."""
    job()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        job()
        times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


def made_surface(count: int, seed: int = 0) -> SurfacePoints:
    """Returns a table with half balls in rows, at the density of a voxel-thinned cloud."""
    generator = np.random.default_rng(seed)
    side_m = VOXEL_M * count**0.5
    flat = generator.random((count, 2)) * side_m - side_m / 2
    offset = (flat + SPACING_M / 2) % SPACING_M - SPACING_M / 2
    height_m = np.sqrt(np.maximum(RADIUS_M**2 - (offset**2).sum(axis=1), 0))
    on_ball = height_m > 0
    normals = np.where(
        on_ball[:, None],
        np.concatenate([offset, height_m[:, None]], axis=1) / RADIUS_M,
        (0.0, 0.0, 1.0),
    )
    return SurfacePoints(
        positions=np.concatenate([flat, height_m[:, None]], axis=1).astype(np.float32),
        colours=np.full((count, 3), 128, np.uint8),
        normals=normals.astype(np.float32),
        views=np.full(count, 10, np.int32),
        confidence=np.full(count, 0.9, np.float32),
        visible_height_m=np.full((count, 2), 0.6, np.float32),
        seen_by=np.zeros((count, 1), np.int32),
        cameras_m=np.array([[0.0, 0.0, 0.7]], np.float32),
        keys=np.arange(count),
        voxel_m=VOXEL_M,
    )


def fresh_field(
    encoder: LanguageEncoder,
    half_extent_m: float,
    sizes: FieldOptions | None = None,
    device: str = 'cpu',
) -> LerfField:
    field = LerfField(
        sizes or FieldOptions(),
        SceneBox((0.0, 0.0, 0.0), half_extent_m),
        encoder.embedding_size,
        device=device,
    )
    return field.requires_grad_(False)


def compare_ways(encoder: LanguageEncoder, count: int, repeats: int) -> dict[str, float]:
    """Times the naive and the fast ways over the same points; returns times and deviations."""
    surface = made_surface(count)
    field = fresh_field(encoder, 1.0)
    positions = torch.from_numpy(surface.positions)
    scales_m = search_scales(0.02, 0.5, SCALES)
    positive = encoder.encode_texts(['red mug'])
    negatives = encoder.encode_texts(CANONICAL_NEGATIVES)
    texts = torch.cat([positive, negatives])
    factor = encoder.temperature
    phrase = Phrase('red mug', positive, negatives, negatives, factor)

    read = FieldReader(field, scales_m)
    cache = EmbeddingCache(1 << 32)
    cache.follow(surface, SCALES, encoder.embedding_size, positions.device)
    step = 0

    def fill() -> None:
        nonlocal step
        step += 1
        cache.refresh(read, step, count)

    ways: dict[str, Callable[[], torch.Tensor]] = {
        'naive': lambda: naive_scale_relevancy(field, positions, scales_m, phrase, factor),
        'folded': lambda: relevancy(folded_cosines(field, positions, scales_m, texts), 1, factor),
        'cached': lambda: relevancy(cache.cosines(read, texts), 1, factor),
    }
    result = {'fill_cache_ms': median_ms(fill, 1)}
    exact = ways['naive']()
    print(f'\n{count} points, {SCALES} scales, one phrase: relevancy alone')
    print(f'{"way":<10}{"ms":>10}{"max deviation":>16}')
    for name, way in ways.items():
        result[f'{name}_ms'] = median_ms(way, 1 if name == 'naive' else repeats)
        result[f'{name}_deviation'] = float((way() - exact).abs().max())
        print(f'{name:<10}{result[f"{name}_ms"]:>10.0f}{result[f"{name}_deviation"]:>16.1e}')
    print(f'(one fill of the cache: {result["fill_cache_ms"]:.0f} ms)')
    return result


class EngineProbe:
    """Asks a filled engine phrases that it has not embedded yet.

    Args:
        encoder: The language encoder.
        count: Number of surface points.
        scales: Number of scales, all of them trained everywhere.
        sizes: Sizes of the field.
        device: Where it is asked.
    """

    def __init__(
        self,
        encoder: LanguageEncoder,
        count: int,
        scales: int,
        sizes: FieldOptions | None = None,
        device: str = 'cpu',
    ) -> None:
        # The made-up field has no trained range: every scale counts.
        options = QueryOptions(scales=scales, cache_limit_mb=4096, min_scale_m=0.03)
        options = replace(options, max_scale_m=0.3)
        self._engine = QueryEngine(encoder, options, FeatureOptions())
        self._surface = made_surface(count)
        half_extent_m = float(np.abs(self._surface.positions).max())
        self.field = fresh_field(encoder, half_extent_m, sizes, device)
        self._asked = 0

    def ask(self, phrases: int = 1) -> None:
        """Sends one request."""
        numbers = range(self._asked, self._asked + phrases)
        self._asked += phrases
        texts = [
            f'{COLOURS[n % len(COLOURS)]} {THINGS[n // len(COLOURS) % len(THINGS)]}'
            for n in numbers
        ]
        self._engine.query(
            QueryRequest(tuple(texts)),
            field=self.field,
            surface=self._surface,
            step=1,
            stamp_ns=0,
        )


def cost_tables(
    encoder: LanguageEncoder, counts: tuple[int, ...], repeats: int
) -> dict[str, dict[str, float]]:
    """Times whole answers over the number of points, phrases and scales."""
    default = QueryOptions().scales
    by_points = {
        str(count): median_ms(EngineProbe(encoder, count, default).ask, repeats)
        for count in counts
    }
    probe = EngineProbe(encoder, 20_000, default)
    by_phrases = {
        str(phrases): median_ms(lambda phrases=phrases: probe.ask(phrases), repeats)  # type: ignore[misc]
        for phrases in (1, 4, 16)
    }
    by_scales = {
        str(scales): median_ms(EngineProbe(encoder, 20_000, scales).ask, repeats)
        for scales in (8, 16, 30)
    }
    tables = {'points': by_points, 'phrases': by_phrases, 'scales': by_scales}
    print(
        f'\nwhole answers (text, relevancy, maxima, objects, existence), {default} scales unless'
    )
    print('said otherwise, 20000 points unless said otherwise, embeddings cached')
    for name, table in tables.items():
        print(f'{name:<10}' + ''.join(f'{key:>10}' for key in table))
        print(f'{"ms":<10}' + ''.join(f'{value:>10.0f}' for value in table.values()))
    return tables


def small_map(encoder: LanguageEncoder, keyframes: int, steps: int) -> tuple[Submap, list]:
    """Returns a map of a simulated table after some steps, and its frames."""
    from lerf_ros.simulation import TabletopScene  # needs MuJoCo, which not all machines have

    live_map = Submap(LerfConfig(), encoder)
    with TabletopScene(9000) as scene:
        frames = list(scene.frames('orbit', 20.0, keyframes / 20.0))
    for frame in frames:
        live_map.ingest(frame)
    for _ in range(steps):
        live_map.step()
    return live_map, frames


def view_ms(live_map: Submap, frames: list, repeats: int) -> float:
    """Times a 320x240 view with its heat map, as `render_view` draws it."""
    frame = frames[0]
    number = 0

    def draw() -> None:
        nonlocal number
        phrase = f'{COLOURS[number % len(COLOURS)]} mug'
        number += 1
        finish(live_map.view_pieces(frame.camera, frame.camera_to_world, phrase))

    return median_ms(draw, repeats)


def clients_ms(live_map: Submap, questions: int) -> dict[str, float]:
    """Lets ten clients ask at once while the map trains; returns how long they waited."""
    worker = Worker(live_map.step, live_map.ready)
    worker.start()
    waits: list[float] = []
    errors: list[BaseException] = []
    lock = threading.Lock()

    def client(number: int) -> None:
        for i in range(questions):
            name = f'{COLOURS[number % len(COLOURS)]} {THINGS[(number + i) % len(THINGS)]}'
            started = time.perf_counter()
            try:
                worker.submit(
                    lambda name=name: live_map.query(QueryRequest((name,))), QUERY
                ).result(120)  # type: ignore[misc]
            except Exception as error:
                errors.append(error)
            with lock:
                waits.append((time.perf_counter() - started) * 1e3)

    before = live_map.trainer.step_count
    started = time.perf_counter()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    steps = live_map.trainer.step_count - before
    worker.stop()
    return {
        'clients_p50_ms': float(np.percentile(waits, 50)),
        'clients_p99_ms': float(np.percentile(waits, 99)),
        'clients_errors': len(errors),
        'clients_steps_per_s': steps / seconds,
        'clients_queries_per_s': len(waits) / seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures here too')
    parser.add_argument('--quick', action='store_true', help='fewer points and repeats')
    parser.add_argument('--threads', type=int, default=2, help='torch threads')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    repeats = 3 if arguments.quick else 9
    counts = COUNTS[:2] if arguments.quick else COUNTS
    encoder = load_encoder(FeatureOptions(), torch.device('cpu'))

    ways = compare_ways(encoder, 5_000 if arguments.quick else 20_000, repeats)
    tables = cost_tables(encoder, counts, repeats)
    live_map, frames = small_map(encoder, 16, 50 if arguments.quick else 200)
    view = view_ms(live_map, frames, repeats)
    print(f'\nheat map of a 320x240 view, depth rendered: {view:.0f} ms')
    clients = clients_ms(live_map, 3 if arguments.quick else 10)
    print(
        f'{CLIENTS} clients at once while training: median {clients["clients_p50_ms"]:.0f} ms, '
        f'p99 {clients["clients_p99_ms"]:.0f} ms, {clients["clients_errors"]} errors, '
        f'{clients["clients_queries_per_s"]:.1f} answers/s, '
        f'{clients["clients_steps_per_s"]:.1f} steps/s meanwhile'
    )
    result = {
        'query_ms': tables['points'],
        'query_ms_by_phrases': tables['phrases'],
        'query_ms_by_scales': tables['scales'],
        'naive_ms': ways['naive_ms'],
        'max_deviation': max(ways['folded_deviation'], ways['cached_deviation']),
        'view_ms': view,
        **{key: value for key, value in ways.items() if key != 'naive_ms'},
        **clients,
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
