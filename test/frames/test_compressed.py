"""Compressed pictures: colour order, depth to the millimetre, the transport's form, bad data."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from plain_messages import compressed as message_of

from lerf_ros.frames import compressed
from lerf_ros.frames.compressed import (
    alpha_mask,
    compressed_depth_array,
    compressed_image_array,
    decode_alpha,
    decode_mask,
    decode_rgb,
    encode_depth,
    encode_jpeg,
    encode_mask,
)


def test_jpeg_keeps_red_and_blue_apart() -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:, :16], picture[:, 16:] = (220, 20, 20), (20, 20, 220)
    found = compressed_image_array(message_of(encode_jpeg(picture, 95), 'jpeg'))
    assert np.abs(found[16, 8].astype(int) - picture[16, 8]).max() < 12
    assert np.abs(found[16, 24].astype(int) - picture[16, 24]).max() < 12


def test_png_colour_is_exact() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    _, data = cv2.imencode('.png', picture[..., ::-1])
    message = message_of(data.tobytes(), 'bgr8; png compressed bgr8')
    np.testing.assert_array_equal(compressed_image_array(message), picture)


def test_depth_is_exact_to_the_millimetre() -> None:
    depth_m = np.random.default_rng(0).uniform(0.2, 6, (20, 30)).astype(np.float32)
    depth_m[3, 4] = np.nan
    found = compressed_depth_array(message_of(encode_depth(depth_m), '16UC1; png'))
    assert np.isnan(found[3, 4])
    assert np.nanmax(np.abs(found - depth_m)) <= 0.000501


def test_compressed_depth_transport_in_millimetres() -> None:
    values = np.array([[0, 1234], [500, 9000]], np.uint16)
    _, png = cv2.imencode('.png', values)
    data = struct.pack('<iff', 0, 0, 0) + png.tobytes()
    found = compressed_depth_array(message_of(data, '16UC1; compressedDepth png'))
    np.testing.assert_allclose(found, [[np.nan, 1.234], [0.5, 9.0]])


def test_compressed_depth_transport_of_floats() -> None:
    # As the transport writes them: value = A / depth + B, 0 = unknown.
    scale, offset = 2000.0, 1.0
    depth_m = np.array([[1.0, 2.0], [4.0, 0.5]])
    values = np.rint(scale / depth_m + offset).astype(np.uint16)
    values[1, 1] = 0
    _, png = cv2.imencode('.png', values)
    data = struct.pack('<iff', 0, scale, offset) + png.tobytes()
    found = compressed_depth_array(message_of(data, '32FC1; compressedDepth png'))
    np.testing.assert_allclose(found, [[1.0, 2.0], [4.0, np.nan]], rtol=1e-3)


@pytest.mark.parametrize('data', [b'', b'no picture', b'\xff\xd8\xff\xe0' + b'0' * 50])
def test_bad_colour_data_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match='JPEG'):
        compressed_image_array(message_of(data, 'jpeg'))


def test_eight_bit_png_is_no_depth() -> None:
    _, data = cv2.imencode('.png', np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match='16-bit PNG with one channel'):
        compressed_depth_array(message_of(data.tobytes(), '8UC1; png'))


def rvl_bytes(values: np.ndarray) -> bytes:
    """Writes RVL as its paper says, number by number: the twin of the decoder."""
    nibbles: list[int] = []

    def put(number: int) -> None:
        while True:
            low, number = number & 7, number >> 3
            nibbles.append(low | (8 if number else 0))
            if not number:
                return

    flat, at, previous = values.reshape(-1).astype(int), 0, 0
    while at < len(flat):
        zeros = at
        while at < len(flat) and flat[at] == 0:
            at += 1
        put(at - zeros)
        run = at
        while at < len(flat) and flat[at] != 0:
            at += 1
        put(at - run)
        for value in flat[run:at]:
            step, previous = int(value) - previous, int(value)
            put(step * 2 if step >= 0 else -step * 2 - 1)
    nibbles += [0] * (-len(nibbles) % 8)
    words = [
        int(''.join(f'{n:x}' for n in nibbles[i : i + 8]), 16) for i in range(0, len(nibbles), 8)
    ]
    return struct.pack(f'<{len(words)}I', *words)


def rvl_message(values: np.ndarray, name: str, scale: float = 0.0, offset: float = 0.0) -> object:
    height, width = values.shape
    head = struct.pack('<iff', 0, scale, offset) + struct.pack('<II', width, height)
    return message_of(head + rvl_bytes(values), name)


@pytest.mark.parametrize('seed', range(4))
def test_rvl_depth(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 65536, (13, 17)).astype(np.uint16)
    values[rng.random(values.shape) < 0.4] = 0
    values[4:9] = 0 if seed % 2 else 1200
    found = compressed_depth_array(rvl_message(values, '16UC1; compressedDepth rvl'))
    np.testing.assert_allclose(found, np.where(values > 0, values / 1000, np.nan), rtol=1e-6)


def test_rvl_depth_of_floats() -> None:
    values = np.array([[2000, 1001, 0], [501, 251, 0]], np.uint16)
    found = compressed_depth_array(rvl_message(values, '32FC1; compressedDepth rvl', 2000.0, 1.0))
    np.testing.assert_allclose(found, [[2000 / 1999, 2, np.nan], [4, 8, np.nan]], rtol=1e-6)


@pytest.mark.parametrize('cut', [0, 12, 20, 24, 40])
def test_damaged_rvl_is_refused(cut: int) -> None:
    values = np.random.default_rng(0).integers(1, 65536, (13, 17)).astype(np.uint16)
    whole = rvl_message(values, '16UC1; compressedDepth rvl').data
    for data in (whole[:cut], whole[:20] + b'\xff' * cut):
        with pytest.raises(ValueError, match='depth'):
            compressed_depth_array(message_of(data, '16UC1; compressedDepth rvl'))


def smooth_jpeg() -> bytes:
    columns, rows = np.meshgrid(np.arange(160), np.arange(120))
    noise = np.random.default_rng(0).integers(0, 60, (120, 160, 3))
    picture = np.stack([columns, rows, (columns * rows) % 200], axis=2) + noise
    return encode_jpeg(np.clip(picture, 0, 255).astype(np.uint8), 90)


@pytest.mark.parametrize('share', [0.1, 0.5, 0.9, 0.999])
def test_a_jpeg_that_was_cut_off_is_refused(share: float) -> None:
    data = smooth_jpeg()
    with pytest.raises(ValueError, match='JPEG'):
        decode_rgb(data[: int(len(data) * share)])


@pytest.mark.skipif(compressed.simplejpeg is None, reason='simplejpeg tells of damage')
@pytest.mark.parametrize('what', [b'A' * 64, bytes(range(64)), b'\xff' * 64])
def test_a_jpeg_that_was_overwritten_is_refused(what: bytes) -> None:
    data = bytearray(smooth_jpeg())
    middle = len(data) // 2
    data[middle : middle + len(what)] = what
    with pytest.raises(ValueError, match='damaged JPEG'):
        decode_rgb(bytes(data))


@pytest.mark.skipif(compressed.simplejpeg is None, reason='there is only one decoder')
def test_both_jpeg_decoders_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = decode_rgb(smooth_jpeg())
    monkeypatch.setattr(compressed, 'simplejpeg', None)
    np.testing.assert_array_equal(decode_rgb(smooth_jpeg()), ours)


@pytest.mark.parametrize('orientation', [2, 3, 6])
def test_orientation_is_not_applied(orientation: int) -> None:
    data = smooth_jpeg()
    # One entry of EXIF: tag 0x0112, a short, once.
    exif = b'Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0' + bytes([orientation])
    exif += b'\0\0\0\0\0\0'
    turned = data[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + data[2:]
    np.testing.assert_array_equal(decode_rgb(turned), decode_rgb(data))


def test_alpha_says_what_is_seen() -> None:
    picture = np.full((4, 6, 4), 200, np.uint8)
    picture[:2, :, 3] = 0
    visible = decode_alpha(cv2.imencode('.png', picture)[1].tobytes())
    assert visible is not None
    assert visible[2:].all()
    assert not visible[:2].any()
    assert decode_alpha(cv2.imencode('.png', picture[..., :3])[1].tobytes()) is None
    assert decode_alpha(smooth_jpeg()) is None


def test_masks_there_and_back() -> None:
    visible = np.random.default_rng(0).random((9, 7)) > 0.3
    np.testing.assert_array_equal(decode_mask(encode_mask(visible)), visible)
    with pytest.raises(ValueError, match='mask'):
        decode_mask(b'no picture')


@pytest.mark.parametrize('encoding', ['rgba8', 'bgra8', 'rgba16', 'png'])
def test_what_is_transparent_is_hidden(encoding: str) -> None:
    visible = np.ones((4, 6), bool)
    visible[1:3, 2:5] = False

    def alpha_of(opaque: np.ndarray) -> np.ndarray | None:
        kind = np.uint16 if encoding == 'rgba16' else np.uint8
        pixels = np.full((4, 6, 4), 90, kind)
        pixels[..., 3] = np.where(opaque, np.iinfo(kind).max, 0)
        if encoding == 'png':
            data = cv2.imencode('.png', pixels)[1].tobytes()
            return alpha_mask(SimpleNamespace(format='png', data=data))
        return alpha_mask(
            SimpleNamespace(
                encoding=encoding,
                width=6,
                height=4,
                step=6 * pixels.itemsize * 4,
                is_bigendian=0,
                data=pixels.tobytes(),
            )
        )

    np.testing.assert_array_equal(alpha_of(visible), visible)
    assert alpha_of(np.ones((4, 6), bool)) is None
    assert alpha_of(np.zeros((4, 6), bool)) is None, 'a driver that leaves alpha unset'
