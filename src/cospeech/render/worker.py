"""A process that draws frames: reads a body, then frames, from its standard input, writes pictures to its output."""

import pickle
import signal
import sys

from cospeech.render.frames import draw


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the process that started this one, and it ends this
    requests, pictures = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # a stray print must not end up in a picture
    body = pickle.load(requests)
    while True:
        try:
            frame = pickle.load(requests)
        except EOFError:
            return
        pictures.write(draw(body, frame).data)
        pictures.flush()


if __name__ == "__main__":
    main()
