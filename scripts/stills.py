"""Save one frame of a film as a picture; the pictures in docs/ are made with it.

python scripts/stills.py out/talk.mp4 4.4 docs/talk.png
"""

from pathlib import Path

import av
import tyro


def still(film: Path, at_s: float, picture: Path, /) -> None:
    """Save the frame that is seen at a time.

    Args:
        film: An .mp4 that cospeech wrote.
        at_s: Seconds from the start.
        picture: The .png to write.
    """
    seen = None
    with av.open(str(film)) as container:
        for frame in container.decode(video=0):
            if seen is not None and frame.time > at_s:
                break
            seen = frame
    picture.parent.mkdir(parents=True, exist_ok=True)
    seen.to_image().save(picture, optimize=True)
    print(f"wrote {picture}")


if __name__ == "__main__":
    tyro.cli(still)
