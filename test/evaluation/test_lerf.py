"""LERF's protocols end to end on a set that the simulator writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from colour_encoder import ColourEncoder

from lerf_ros.config import LerfConfig
from lerf_ros.evaluation.lerf.label_set import write_tabletop_set
from lerf_ros.evaluation.lerf.labels import LabelledFrame, read_labels
from lerf_ros.evaluation.lerf.run import evaluate_lerf, relevancy_picture
from lerf_ros.evaluation.recordings import learn_from
from lerf_ros.maps.submap import Submap
from lerf_ros.simulation import TabletopOptions
from lerf_ros.sources.nerfstudio import NerfstudioFolder

CONFIG = LerfConfig.from_flat({'features.pyramid_levels': 3, 'training.rays_per_step': 256})
OPTIONS = TabletopOptions(
    width=160, height=120, objects=(('red', 'bowl'), ('blue', 'box'), ('yellow', 'mug'))
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('lerf')
    write_tabletop_set(folder, 9004, train_views=8, test_views=2, options=OPTIONS)
    return folder


def test_both_protocols(folder: Path) -> None:
    frames = NerfstudioFolder(folder)
    labelled, absent = read_labels(folder / 'labels', frames)
    result, pictures = evaluate_lerf(
        frames,
        labelled,
        absent,
        CONFIG,
        ColourEncoder(),
        seconds=(0.5, 3.0),
        advance=lambda amount, text: None,
    )
    first, last = result['rows']
    assert last['labels'] == sum(len(labels.phrases) for labels in labelled) >= 4
    assert last['steps'] > first['steps']
    for key in ('lerf_localisation', 'ovs_localisation', 'ovs_miou', 'average_precision'):
        assert 0 <= last[key] <= 1
    assert pictures[0].png.startswith(b'\x89PNG')
    json.dumps(result, allow_nan=False)


def test_relevancy_pictures_lie_on_what_is_seen(folder: Path) -> None:
    frames = NerfstudioFolder(folder)
    live_map = Submap(CONFIG, ColourEncoder())
    learn_from(live_map, frames[:4])
    for _ in range(80):
        live_map.step()
    frame = frames[1]
    relevancy = relevancy_picture(live_map, 'red bowl', frame.camera, frame.camera_to_world)
    assert relevancy.shape == (120, 160)
    assert np.isfinite(relevancy).all()
    assert 0 <= relevancy.min() < relevancy.max() <= 1


def test_all_pictures_labelled_leaves_nothing_to_learn_from(folder: Path) -> None:
    frames = NerfstudioFolder(folder)
    labelled = [LabelledFrame(index, ()) for index in range(len(frames))]
    with pytest.raises(ValueError, match='without labels'):
        evaluate_lerf(
            frames,
            labelled,
            [],
            CONFIG,
            ColourEncoder(),
            seconds=(1.0,),
            advance=lambda amount, text: None,
        )
