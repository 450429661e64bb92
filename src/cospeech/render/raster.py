"""Triangles to pixels with numpy: which triangle is seen where, and the average of what is seen.

A pixel is sampled at several points on rows of its own (a rotated grid), which smooths edges of every direction.
Triangles are cut into one span per row of samples, spans into samples, and the nearest triangle wins each sample.
Neighbours share the ends of their spans to the last bit, so there are neither cracks nor overlaps between them.

Axes: V vertices, F triangles, S samples a pixel, H x W pixels, N samples covered, P pixels touched, C channels.
"""

from typing import NamedTuple

import numpy as np

CENTRE = (0.5,)  # one sample in the middle of a pixel
FOUR = (0.375, 0.875, 0.125, 0.625)  # x of four samples, in as many rows from top to bottom of a pixel
EIGHT = (0.4375, 0.8125, 0.1875, 0.6875, 0.0625, 0.9375, 0.3125, 0.5625)

_ID_RANGE = 2.0**20  # a key is depth * _ID_RANGE + triangle, exact in a float64
_DEPTH_RANGE = 2.0**32
_SMALLEST_AREA = 1e-6  # square pixels; what is thinner covers no sample


class Visible(NamedTuple):
    """What is seen in the part of a picture that triangles cover: a window of h x w pixels at (left, top)."""

    triangles: np.ndarray  # (h, S, w) int32 number of the nearest triangle, -1 where there is none
    nearness: np.ndarray  # (h, S, w) float32 as given, meaningless where there is no triangle
    left: int
    top: int
    offsets: tuple[float, ...]  # (S,) x of the samples of a pixel


def facing(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F,) bool: triangles whose corners run counterclockwise as seen, y of `points` (V, 2+) pointing down."""
    a, b, c = (points[faces[:, i], :2] for i in range(3))
    (bx, by), (cx, cy) = (b - a).T, (c - a).T
    return bx * cy - by * cx < -_SMALLEST_AREA


def rasterise(points: np.ndarray, faces: np.ndarray, size: tuple[int, int], offsets: tuple[float, ...]) -> Visible:
    """The nearest triangle at every sample of a picture.

    Args:
        points: (V, 3) x right and y down in pixels, and nearness: larger is nearer, linear in x and y across a
            triangle (for a perspective camera 1 / depth).
        faces: (F, 3) int, of either direction; F < 2**20.
        size: (width, height) of the picture in pixels; what lies outside is cut off.
        offsets: x of each sample within its pixel; sample s of S lies at y = (s + 0.5) / S.
    """
    width, height = size
    rows_per_pixel = len(offsets)
    corners = points[faces].astype(np.float64)  # (F, 3, 3)
    corners[..., 1] = corners[..., 1] * rows_per_pixel - 0.5  # row r is at y = r
    low, high = points[:, 2].min(initial=np.inf), points[:, 2].max(initial=-np.inf)
    unit = max(high - low, 1e-30) / (_DEPTH_RANGE - 2)
    corners[..., 2] = (corners[..., 2] - low) / unit + 1

    inside = (corners[..., 0].max(1) > 0) & (corners[..., 0].min(1) < width)
    inside &= (corners[..., 1].max(1) > 0) & (corners[..., 1].min(1) < height * rows_per_pixel)
    numbers = np.flatnonzero(inside)
    corners = corners[numbers]
    order = np.argsort(corners[..., 1], axis=1, kind="stable")
    a, b, c = np.take_along_axis(corners, order[..., None], axis=1).transpose(1, 2, 0)  # each (3, F), from the top
    area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
    keep = np.abs(area) > _SMALLEST_AREA
    if not keep.any():
        nothing = (0, rows_per_pixel, 0)
        return Visible(np.zeros(nothing, np.int32), np.zeros(nothing, np.float32), 0, 0, offsets)
    numbers, a, b, c, area = numbers[keep], a[:, keep], b[:, keep], c[:, keep], area[keep]
    depth_x = ((b[2] - a[2]) * (c[1] - a[1]) - (c[2] - a[2]) * (b[1] - a[1])) / area
    depth_y = ((c[2] - a[2]) * (b[0] - a[0]) - (b[2] - a[2]) * (c[0] - a[0])) / area

    left = max(0, int(np.floor(min(a[0].min(), b[0].min(), c[0].min()))))
    right = min(width, int(np.ceil(max(a[0].max(), b[0].max(), c[0].max()))) + 1)
    top = max(0, int(a[1].min() // rows_per_pixel))
    bottom = min(height, int(c[1].max() // rows_per_pixel) + 1)

    first = np.maximum(np.ceil(a[1]), top * rows_per_pixel).astype(np.int64)
    last = np.minimum(np.ceil(c[1]), bottom * rows_per_pixel).astype(np.int64)
    rows = np.maximum(last - first, 0)
    span, row = _ranges(first, rows)  # triangle and row of every span
    ab, bc, ac = _edge(a, b), _edge(b, c), _edge(a, c)
    upper = row < b[1][span]
    one = np.where(upper, _at(ab, span, row), _at(bc, span, row))
    other = _at(ac, span, row)
    shift = np.asarray(offsets)[row % rows_per_pixel]
    start = np.maximum(np.ceil(np.minimum(one, other) - shift), left)
    stop = np.minimum(np.ceil(np.maximum(one, other) - shift), right)
    full = np.flatnonzero(stop > start)
    span, row, start, shift = span[full], row[full], start[full], shift[full]
    lengths = (stop[full] - start).astype(np.int64)

    depth = a[2][span] + (start + shift - a[0][span]) * depth_x[span] + (row - a[1][span]) * depth_y[span]
    place = (row - top * rows_per_pixel) * (right - left) + start.astype(np.int64) - left
    # Sample k of all, counted from zero, lies at place + k - before: one arange serves all spans.
    before = np.cumsum(lengths) - lengths
    k = np.arange(lengths.sum())
    slope = depth_x[span]
    keys = np.repeat(slope, lengths) * k
    keys += np.repeat(depth - slope * before, lengths)
    np.clip(keys, 1, _DEPTH_RANGE, out=keys)
    np.floor(keys, out=keys)
    keys *= _ID_RANGE
    keys += np.repeat(span.astype(np.float64), lengths)
    k += np.repeat(place - before, lengths)
    nearest = np.zeros((bottom - top) * rows_per_pixel * (right - left))
    np.maximum.at(nearest, k, keys)

    depth_seen = np.floor(nearest / _ID_RANGE)
    triangles = (nearest - depth_seen * _ID_RANGE).astype(np.int32)
    triangles = np.where(nearest > 0, numbers[triangles].astype(np.int32), np.int32(-1))
    shape = (bottom - top, rows_per_pixel, right - left)
    nearness = (low + depth_seen * unit).astype(np.float32)
    return Visible(triangles.reshape(shape), nearness.reshape(shape), left, top, offsets)


def paint(
    picture: np.ndarray,
    visible: Visible,
    points: np.ndarray,
    faces: np.ndarray,
    colours: np.ndarray,
    gap: float,
) -> None:
    """Draw what is visible into `picture` (H, W, C) uint8, which holds the background.

    Args:
        points, faces: As given to `rasterise`.
        colours: (V, C) float32 0..255, interpolated linearly on the screen across each triangle.
        gap: Where nearness differs by more than this within a pixel an edge runs through it, and all its samples
            are averaged; elsewhere one sample stands for the pixel.
    """
    num_rows, num_samples, num_columns = visible.triangles.shape
    if num_rows == 0:
        return
    covered = visible.triangles >= 0
    count = covered.sum(axis=1, dtype=np.int32)  # (h, w)
    surface = (count == num_samples) & (visible.nearness.max(axis=1) - visible.nearness.min(axis=1) < gap)

    planes = _colour_planes(points, faces, colours)
    window = picture[visible.top : visible.top + num_rows, visible.left : visible.left + num_columns]
    y, x = np.nonzero(surface)
    window[y, x] = _colours_at(planes, visible, y, num_samples // 2, x) + 0.5

    y, x = np.nonzero((count > 0) & ~surface)
    pixel, sample = np.nonzero(covered[y, :, x])
    seen = _colours_at(planes, visible, y[pixel], sample, x[pixel])
    total = np.stack([np.bincount(pixel, channel, minlength=len(y)) for channel in seen.T], axis=1)
    uncovered = 1 - count[y, x][:, None] / num_samples
    window[y, x] = np.minimum(total / num_samples + window[y, x] * uncovered + 0.5, 255)


def _colour_planes(points: np.ndarray, faces: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """(F, 2 + 3 C): x and y of a corner, the colours there, and their change to the right and down."""
    a, b, c = (points[faces[:, i], :2].astype(np.float64) for i in range(3))
    at_a, at_b, at_c = (colours[faces[:, i]] for i in range(3))
    (bx, by), (cx, cy) = (b - a).T[..., None], (c - a).T[..., None]  # (F, 1) each
    area = bx * cy - cx * by
    area = np.where(np.abs(area) < _SMALLEST_AREA, np.inf, area)
    right = ((at_b - at_a) * cy - (at_c - at_a) * by) / area
    down = ((at_c - at_a) * bx - (at_b - at_a) * cx) / area
    return np.concatenate([a, at_a, right, down], axis=1).astype(np.float32)


def _colours_at(
    planes: np.ndarray, visible: Visible, y: np.ndarray, sample: np.ndarray | int, x: np.ndarray
) -> np.ndarray:
    """(N, C) colours at samples, given by row and column in the window and by number in the pixel."""
    offsets = np.asarray(visible.offsets, np.float32)
    plane = planes[visible.triangles[y, sample, x]]
    across = x + (visible.left + offsets[sample]) - plane[:, 0]
    below = y + (visible.top + (np.asarray(sample) + 0.5) / len(offsets)) - plane[:, 1]
    start, right, down = np.split(plane[:, 2:], 3, axis=1)
    return np.clip(start + right * across[:, None] + down * below[:, None], 0, 254.5)


def _ranges(first: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M,) starts and lengths -> the range each element comes from, and the elements first, first + 1, ..."""
    source = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts
    return source, np.arange(len(source)) + (first - before)[source]


def _edge(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The line from `a` down to `b`, (3, F) each: (x, y, dx / dy). The same bits for both triangles that share it."""
    run = b[1] - a[1]
    return a[0], a[1], (b[0] - a[0]) / np.where(run == 0, 1, run)


def _at(edge: tuple[np.ndarray, np.ndarray, np.ndarray], span: np.ndarray, row: np.ndarray) -> np.ndarray:
    x, y, slope = edge
    return x[span] + (row - y[span]) * slope[span]
