"""From motion to pictures: what a frame needs to be drawn, and several processes that draw frames in turn.

Workers are programs of their own (`worker.py`), fed through pipes: they need no `__main__` guard in the caller's script
and inherit no threads or locks. Only a few frames are under way at any time, so memory does not grow with the length.
"""

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cospeech.body import Body, skin, vertex_normals
from cospeech.errors import ConfigError
from cospeech.motion import Motion
from cospeech.render import scene
from cospeech.render.camera import Camera, Shot, body_shot, face_shot

_SHOTS = {"body": (body_shot,), "face": (face_shot,), "face+body": (face_shot, body_shot)}
_PLAIN = np.array([186, 180, 174], np.uint8)  # sRGB of a body without colours
_MOST_WORKERS = 8  # the encoder keeps up with no more
_FEWEST_FRAMES = 16  # for which starting processes pays
_AHEAD = 2  # frames that wait for a worker: one is drawn, the next is ready


class Frame(NamedTuple):
    poses: np.ndarray  # (1, 55, 3)
    translation: np.ndarray  # (1, 3)
    face: np.ndarray | None  # (1, 52)
    expressions: np.ndarray  # (1, 100) of FLAME
    cameras: tuple[Camera, ...]  # of the pictures side by side, from the left


class Film:
    """The frames of a motion as a camera sees them; `len(film)` is T.

    Args:
        camera: "body", "face" or "face+body".
        size: (width, height) in pixels, even numbers.
    """

    def __init__(self, motion: Motion, body: Body, camera: str, size: tuple[int, int]):
        if camera not in _SHOTS:
            raise ConfigError(f"`camera` must be one of {', '.join(_SHOTS)}, got {camera!r}.")
        width, height = size
        if width < 16 or height < 16 or width % 2 or height % 2:
            raise ConfigError(f"`size` must be even numbers of 16 or more pixels, got {width} x {height}.")
        self.motion, self.body, self.size = motion, body, size
        self.face = motion.shown_face()
        edges = [round(i * width / len(_SHOTS[camera])) for i in range(len(_SHOTS[camera]) + 1)]
        self.shots: list[Shot] = [
            shoot(motion, body, (right - left, height))
            for shoot, left, right in zip(_SHOTS[camera], edges, edges[1:], strict=False)
        ]

    def __len__(self) -> int:
        return len(self.motion)

    def __getitem__(self, number: int) -> Frame:
        motion, frame = self.motion, slice(number, number + 1)
        face = None if self.face is None else self.face[frame]
        cameras = tuple(shot[number] for shot in self.shots)
        return Frame(motion.poses[frame], motion.translation[frame], face, motion.expressions[frame], cameras)


def draw(body: Body, frame: Frame) -> np.ndarray:
    """(height, width, 3) uint8 sRGB."""
    vertices = skin(body, frame.poses, frame.translation, frame.face, frame.expressions)[0]
    normals = vertex_normals(vertices, body.faces)
    colours = np.broadcast_to(_PLAIN, vertices.shape) if body.colours is None else body.colours
    pictures = [scene.draw(camera, vertices, body.faces, normals, colours) for camera in frame.cameras]
    return np.concatenate(pictures, axis=1)


def pictures(film: Film, num_workers: int | None = None) -> Iterator[np.ndarray]:
    """All frames in order, (height, width, 3) uint8 sRGB each. Close the iterator to end the workers early.

    Args:
        num_workers: Processes that draw; 0 draws in this one. As many as there are processors unless given.
    """
    if num_workers is None:
        num_workers = min(_num_processors(), _MOST_WORKERS)
        if len(film) < _FEWEST_FRAMES or num_workers == 1 or not sys.executable:
            num_workers = 0
    if num_workers:
        yield from _drawn_by_workers(film, num_workers)
    else:
        for number in range(len(film)):
            yield draw(film.body, film[number])


def _drawn_by_workers(film: Film, num_workers: int) -> Iterator[np.ndarray]:
    workers: list[subprocess.Popen] = []
    try:
        workers += [_start_worker() for _ in range(num_workers)]
        for worker in workers:
            _send(worker, film.body)
        waiting: deque[subprocess.Popen] = deque()
        for number in range(len(film)):
            worker = workers[number % num_workers]
            _send(worker, film[number])
            waiting.append(worker)
            if len(waiting) == _AHEAD * num_workers:
                yield _receive(waiting.popleft(), film.size)
        while waiting:
            yield _receive(waiting.popleft(), film.size)
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()  # closes the pipes, waits for the end


def _start_worker() -> subprocess.Popen:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-P", "-m", "cospeech.render.worker"]  # -P: nothing in the current folder is imported
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def _send(worker: subprocess.Popen, message: Body | Frame) -> None:
    try:
        pickle.dump(message, worker.stdin, protocol=5)
        worker.stdin.flush()
    except BrokenPipeError:
        raise _stopped(worker) from None


def _receive(worker: subprocess.Popen, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    data = worker.stdout.read(width * height * 3)
    if len(data) < width * height * 3:
        raise _stopped(worker)
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def _stopped(worker: subprocess.Popen) -> RuntimeError:
    return RuntimeError(f"A process that draws frames stopped with exit code {worker.wait()}.")


def _num_processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
