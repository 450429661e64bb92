import numpy as np
import pytest

from cospeech.render.raster import CENTRE, FOUR, facing, rasterise


def nearest_triangles(points, faces, size, offsets):
    """The definition, sample by sample: of the triangles around a point the one that is nearest there, or -1."""
    width, height = size
    rows = len(offsets)
    picture = np.full((height, rows, width), -1)
    best = np.full(picture.shape, -np.inf)
    edge = np.zeros(picture.shape, bool)  # samples so near to an edge that rounding decides
    for number, (a, b, c) in enumerate(points[faces].astype(float)):
        for y in range(height):
            for s, offset in enumerate(offsets):
                for x in range(width):
                    p = np.array([x + offset, y + (s + 0.5) / rows])
                    matrix = np.array([[b[0] - a[0], c[0] - a[0]], [b[1] - a[1], c[1] - a[1]]])
                    if abs(np.linalg.det(matrix)) < 1e-6:
                        continue
                    u, v = np.linalg.solve(matrix, p - a[:2])
                    inside = min(u, v, 1 - u - v)
                    edge[y, s, x] |= abs(inside) < 1e-6
                    near = a[2] + u * (b[2] - a[2]) + v * (c[2] - a[2])
                    if inside > 0 and near > best[y, s, x]:
                        best[y, s, x], picture[y, s, x] = near, number
    return picture, edge


def whole(visible, size, rows):
    """The window of `rasterise` in its place in the picture."""
    picture = np.full((size[1], rows, size[0]), -1)
    height, _, width = visible.triangles.shape
    picture[visible.top : visible.top + height, :, visible.left : visible.left + width] = visible.triangles
    return picture


@pytest.mark.parametrize("offsets", [CENTRE, FOUR])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_definition(offsets, seed):
    rng = np.random.default_rng(seed)
    size = (17, 13)
    points = rng.uniform([-4, -4, 0.2], [21, 17, 1.0], size=(18, 3)).astype(np.float32)
    faces = rng.permutation(18).reshape(6, 3)
    expected, edge = nearest_triangles(points, faces, size, offsets)
    found = whole(rasterise(points, faces, size, offsets), size, len(offsets))
    np.testing.assert_array_equal(np.where(edge, -1, found), np.where(edge, -1, expected))


def test_neighbours_leave_no_crack_and_do_not_overlap(rng):
    """A fan of triangles around a point covers its polygon exactly once."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
    rim = np.stack([20 + 15 * np.cos(angles), 20 + 15 * np.sin(angles), np.ones(9)], axis=1)
    points = np.concatenate([[[20.3, 19.7, 1.0]], rim]).astype(np.float32)
    fan = np.array([[0, 1 + i, 1 + (i + 1) % 9] for i in range(9)])
    size = (40, 40)
    together = whole(rasterise(points, fan, size, FOUR), size, 4)
    counts = sum((whole(rasterise(points, fan[[i]], size, FOUR), size, 4) >= 0).astype(int) for i in range(9))
    assert counts.max() == 1
    np.testing.assert_array_equal(together >= 0, counts == 1)
    inner = [(int(20 + r * np.cos(t)), int(20 + r * np.sin(t))) for r in (2, 5) for t in np.linspace(0, 6, 40)]
    assert all((together[y, :, x] >= 0).all() for x, y in inner)


def test_facing_is_decided_by_the_order_of_the_corners():
    points = np.array([[0, 0, 1], [0, 10, 1], [10, 0, 1]], float)  # counterclockwise as seen, y down
    assert facing(points, np.array([[0, 1, 2], [0, 2, 1]])).tolist() == [True, False]


def test_nothing_in_sight():
    points = np.array([[-5, -5, 1], [-4, -5, 1], [-5, -4, 1]], np.float32)
    visible = rasterise(points, np.array([[0, 1, 2]]), (8, 8), FOUR)
    assert (whole(visible, (8, 8), 4) == -1).all()
