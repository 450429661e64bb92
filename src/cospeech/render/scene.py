"""A quiet studio: soft light on a body, its shadow on the floor, a plain background.

Light is computed at the vertices, in linear light, from a wide key light in front and to one side, the sky, light
thrown back by the floor, and a rim light from behind. What stands between a point and the key light is read from a
map of heights: the body projected along the light onto the floor.
"""

import math
from functools import lru_cache

import numpy as np

from cospeech.render.camera import Camera
from cospeech.render.raster import CENTRE, FOUR, facing, paint, rasterise

# Directions towards the lights seen from the person: right of the picture, up, to the camera.
_KEY = np.array([-0.50, 0.80, 0.62])
_RIM = np.array([0.65, 0.45, -0.70])
_KEY_LIGHT = np.array([1.50, 1.43, 1.33])
_SKY_LIGHT = np.array([0.62, 0.65, 0.70])
_FLOOR_LIGHT = np.array([0.36, 0.33, 0.31])
_RIM_LIGHT = np.array([0.85, 0.92, 1.05])
_WRAP = 0.18  # how far the key light, which is wide, reaches around an edge
_SHINE = 0.10

_WALL_TOP = np.array([178.0, 184.0, 192.0])  # sRGB
_HORIZON = np.array([214.0, 216.0, 219.0])
_FLOOR = np.array([200.0, 200.0, 200.0])
_GRID_M = 0.5  # distance of the faint lines on the floor
_LINE_M = 0.008

_TEXEL_M = 0.0125  # of the map of heights
_MARGIN_M = 0.4


def draw(
    camera: Camera,
    vertices: np.ndarray,
    faces: np.ndarray,
    normals: np.ndarray,
    colours: np.ndarray,
    offsets: tuple[float, ...] = FOUR,
) -> np.ndarray:
    """One picture, (height, width, 3) uint8 sRGB.

    Args:
        vertices: (V, 3) world metres.
        faces: (F, 3)
        normals: (V, 3) unit.
        colours: (V, 3) uint8 sRGB of the surface.
        offsets: The samples of a pixel, see `raster`.
    """
    key = _towards(_KEY, camera)
    heights = HeightMap(vertices, faces, key)
    lit = _light(camera, vertices, normals, colours, heights.lit(vertices), key)
    picture = studio(camera).copy()
    _shade_floor(picture, camera, heights)
    points = camera.project(vertices)
    front = faces[facing(points, faces) & (points[faces, 2] > 0).all(axis=1)]
    visible = rasterise(points, front, (camera.width, camera.height), offsets)
    nearness = float(np.median(points[:, 2]))
    gap = 4 * nearness / camera.focal  # a surface seen at an angle of 75 degrees
    paint(picture, visible, points, front, lit, gap)
    return picture


class HeightMap:
    """The highest point of a body above each point of the floor, looking along the light.

    Args:
        vertices: (V, 3) world metres, faces: (F, 3).
        towards: (3,) direction to the light, above the floor.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, towards: np.ndarray):
        self.slope = towards[[0, 2]] / towards[1]
        ground = self.project(vertices)  # (V, 2)
        # On whole texels, so that shadows do not shimmer while the body moves.
        low = np.floor((ground.min(axis=0) - _MARGIN_M) / _TEXEL_M)
        self.origin = low * _TEXEL_M
        width, height = (np.ceil((ground.max(axis=0) + _MARGIN_M) / _TEXEL_M) - low).astype(int)
        points = np.concatenate([(ground - self.origin) / _TEXEL_M, vertices[:, 1:2]], axis=1)
        visible = rasterise(points, faces, (width, height), CENTRE)
        self.heights = np.zeros((height, width), np.float32)
        rows, _, columns = visible.triangles.shape
        window = self.heights[visible.top : visible.top + rows, visible.left : visible.left + columns]
        window[...] = np.where(visible.triangles[:, 0] >= 0, np.maximum(visible.nearness[:, 0], 1e-3), 0)

    def project(self, points: np.ndarray) -> np.ndarray:
        """(V, 3) points -> (V, 2) x and z where the light through them meets the floor."""
        return points[:, [0, 2]] - points[:, 1:2] * self.slope

    def lit(self, vertices: np.ndarray) -> np.ndarray:
        """(V,) share of the key light that reaches each vertex."""
        column, row = np.floor((self.project(vertices) - self.origin) / _TEXEL_M).astype(int).T
        above = np.zeros(len(vertices), np.float32)
        taps = range(-2, 3)
        for down in taps:
            for right in taps:
                over = self.heights[row + down, column + right] - vertices[:, 1]
                above += np.clip((over - 0.035) / 0.06, 0, 1)
        return 1 - above / len(taps) ** 2

    def shadow(self) -> np.ndarray:
        """(rows, columns) share of the key light kept from the floor: sharp near the feet, soft far from them."""
        cover = self.heights > 0
        far = np.clip(self.heights / 0.9, 0, 1)
        near = _blur(cover * (1 - far), 2)
        return near + _blur(cover * far, 9)

    def contact(self) -> np.ndarray:
        """(rows, columns) how much of the sky is hidden by what stands on the floor."""
        low = (self.heights > 0) & (self.heights < 0.12)
        return _blur(low.astype(np.float32), 2)


@lru_cache(maxsize=4)
def studio(camera: Camera) -> np.ndarray:
    """(height, width, 3) uint8 sRGB: wall and floor without a body. Kept for a camera that stands still."""
    u = ((np.arange(camera.width) + 0.5 - camera.width / 2) / camera.focal).astype(np.float32)
    v = (camera.height / 2 - np.arange(camera.height) - 0.5) / camera.focal
    right, up, back = camera.axes
    rise = v * up[1] - back[1]  # the height won by a ray, the same along a row: the camera does not roll
    length = np.where(rise < 0, -camera.y / np.minimum(rise, -1e-3), np.inf)  # until the ray meets the floor
    near = np.clip(1.6 - length / 6, 0, 1)[:, None]  # the floor fades into the horizon
    rows = _HORIZON + _smoothstep(np.clip(rise / 0.35, 0, 1))[:, None] * (_WALL_TOP - _HORIZON)
    rows += _smoothstep(near) * (_FLOOR - _HORIZON)
    light, noise = _falloff(camera.focal, camera.width, camera.height)
    picture = rows[:, None, :].astype(np.float32) * light + noise

    floor = np.flatnonzero(near[:, 0] > 0)
    if len(floor):
        reach = length[floor].astype(np.float32)[:, None]
        ahead = np.array([camera.x, camera.z]) + reach * (v[floor, None] * up - back)[:, [0, 2]]
        x, z = (ahead[:, [i]].astype(np.float32) + reach * (u * np.float32(right[2 * i])) for i in (0, 1))
        pixel = reach / np.float32(camera.focal)
        lines = np.maximum(_line(x, pixel), _line(z, 4 * pixel)) * (7 * near[floor]).astype(np.float32)
        picture[floor] -= lines[..., None]
    return np.clip(picture, 0, 255).astype(np.uint8)


@lru_cache(maxsize=4)
def _falloff(focal: float, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """(height, width, 1) float32: light that falls off to the corners, and noise that keeps gradients smooth."""
    across = np.linspace(-1, 1, width, dtype=np.float32)
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.float32(1.2 * height / width)
    light = 1.03 - 0.10 * (across**2 + down**2)
    noise = np.random.default_rng(0).random((height, width, 1), dtype=np.float32)
    return light[..., None], noise


def _shade_floor(picture: np.ndarray, camera: Camera, heights: HeightMap) -> None:
    """Darken the floor in `picture` where the body keeps the light away."""
    rows, columns = heights.heights.shape
    low = heights.origin
    high = low + np.array([columns, rows]) * _TEXEL_M
    corners = np.array([[x, 0.0, z] for x in (low[0], high[0]) for z in (low[1], high[1])])
    seen = camera.project(corners)
    if (seen[:, 2] <= 0).any():
        return
    left, top = np.maximum(seen[:, :2].min(axis=0), 0).astype(int)
    right, bottom = np.minimum(seen[:, :2].max(axis=0) + 1, (camera.width, camera.height)).astype(int)
    if left >= right or top >= bottom:
        return
    x_axis, up, back = camera.axes
    u = ((np.arange(left, right) + 0.5 - camera.width / 2) / camera.focal).astype(np.float32)
    v = ((camera.height / 2 - np.arange(top, bottom) - 0.5) / camera.focal)[:, None]
    length = -camera.y / (v * up[1] - back[1])
    column, row = (
        ((start + length * (v * up[i] - back[i]) - heights.origin[axis]) / _TEXEL_M - 0.5).astype(np.float32)
        + (length * x_axis[i] / _TEXEL_M).astype(np.float32) * u
        for axis, (i, start) in enumerate(((0, camera.x), (2, camera.z)))
    )
    darkness = 0.42 * heights.shadow() + 0.30 * heights.contact()
    window = picture[top:bottom, left:right]
    window[...] = window * (1 - _bilinear(darkness, row, column))[..., None] + 0.5


def _light(
    camera: Camera,
    vertices: np.ndarray,
    normals: np.ndarray,
    colours: np.ndarray,
    lit: np.ndarray,
    key: np.ndarray,
) -> np.ndarray:
    """(V, 3) float32 sRGB 0..255 of the lit vertices."""
    view = camera.position - vertices
    view = view / np.linalg.norm(view, axis=1, keepdims=True)
    half = view + key
    half = half / np.linalg.norm(half, axis=1, keepdims=True)
    facing_key = normals @ key
    diffuse = np.clip((facing_key + _WRAP) / (1 + _WRAP), 0, None) * lit
    shine = _SHINE * np.clip((normals * half).sum(1), 0, None) ** 24 * (facing_key > 0) * lit
    rim = (1 - np.clip((normals * view).sum(1), 0, 1)) ** 3 * np.clip(normals @ _towards(_RIM, camera), 0, 1)
    up = 0.5 + 0.5 * normals[:, 1:2]
    open_sky = 0.75 + 0.25 * _smoothstep(np.clip(vertices[:, 1:2] / 0.5, 0, 1))  # the floor takes light from the feet
    around = (_FLOOR_LIGHT + up * (_SKY_LIGHT - _FLOOR_LIGHT)) * open_sky
    surface = (colours / 255.0) ** 2.2
    light = surface * (around + diffuse[:, None] * _KEY_LIGHT) + (shine + 0.35 * rim)[:, None] * _RIM_LIGHT
    shown = 1 - np.exp(-1.15 * light)  # bright parts bend instead of burning out
    return (255 * shown ** (1 / 2.2)).astype(np.float32)


def _towards(direction: np.ndarray, camera: Camera) -> np.ndarray:
    """(3,) picture right, up, to the camera -> unit vector in the world, whatever the tilt of the camera."""
    sin, cos = math.sin(camera.yaw), math.cos(camera.yaw)
    right, up, ahead = direction / np.linalg.norm(direction)
    return np.array([right * cos + ahead * sin, up, ahead * cos - right * sin])


def _line(coordinate: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """How much of a pixel, `pixel` metres wide, a line of the grid covers."""
    off = np.abs(coordinate - np.rint(coordinate / _GRID_M) * np.float32(_GRID_M))
    return np.clip((_LINE_M + pixel) / 2 - off, 0, np.minimum(_LINE_M, pixel)) / pixel


def _smoothstep(x: np.ndarray) -> np.ndarray:
    return x * x * (3 - 2 * x)


def _blur(image: np.ndarray, radius: int) -> np.ndarray:
    """Two box averages of 2 `radius` + 1 texels in each direction: nearly a Gaussian. Zero outside."""
    for _ in range(2):
        for _ in range(2):
            padded = np.pad(image.astype(np.float32), ((radius + 1, radius), (0, 0)))
            total = padded.cumsum(axis=0, dtype=np.float64)
            image = ((total[2 * radius + 1 :] - total[: -2 * radius - 1]) / (2 * radius + 1)).T
    return image


def _bilinear(image: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Values of `image` between its texel centres, zero outside."""
    image = np.pad(image, 1).astype(np.float32)
    row = np.clip(row + 1, 0, image.shape[0] - 1.001)
    column = np.clip(column + 1, 0, image.shape[1] - 1.001)
    y, x = row.astype(np.int32), column.astype(np.int32)
    down, right = row - y, column - x
    upper = image[y, x] * (1 - right) + image[y, x + 1] * right
    lower = image[y + 1, x] * (1 - right) + image[y + 1, x + 1] * right
    return upper * (1 - down) + lower * down
