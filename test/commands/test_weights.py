"""Tests of the subcommand `weights`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lerf_ros.__main__ import main
from lerf_ros.features.tabletop.encoder import WEIGHTS


def test_missing_weights_are_named_with_what_to_do(tmp_path: Path, capsys):
    assert main(['weights', '--encoder', 'ViT-B-16', '--weights-dir', str(tmp_path)]) == 1
    output = capsys.readouterr().out
    assert 'ViT-B-16: NOT usable' in output
    assert str(tmp_path / 'ViT-B-16' / 'laion2b_s34b_b88k') in output
    assert 'encoder:=photo works now' in output
    assert '--download' in output


def test_what_is_there_is_checked(capsys):
    assert main(['weights', '--encoder', 'tabletop']) == 0
    assert 'tabletop: there' in capsys.readouterr().out


def test_a_file_that_is_not_finite_or_of_another_model_is_found(tmp_path: Path, capsys):
    arguments = ['weights', '--encoder', 'tabletop', '--pretrained']
    state = load_file(WEIGHTS)
    name = next(key for key, value in state.items() if value.ndim == 4)
    state[name] = torch.full_like(state[name], float('nan'))
    path = tmp_path / 'broken.safetensors'
    save_file(state, path)
    assert main([*arguments, str(path)]) == 1
    assert 'not finite' in capsys.readouterr().out
    save_file({'a': torch.zeros(2)}, path)
    assert main([*arguments, str(path)]) == 1
    assert 'no weights of tabletop' in capsys.readouterr().out
    path.write_bytes(b'cut')
    assert main([*arguments, str(path)]) == 1
    assert 'NOT usable' in capsys.readouterr().out


def test_an_unknown_name_is_refused_with_near_ones(capsys):
    assert main(['weights', '--encoder', 'ViT-B16']) == 2
    assert 'near names' in capsys.readouterr().err


@pytest.mark.parametrize('more', [['--download'], ['--pretrained', 'x.safetensors']])
def test_nothing_is_fetched_unless_one_encoder_is_named(more, capsys):
    assert main(['weights', *more]) == 2
    assert 'expected one name' in capsys.readouterr().err
