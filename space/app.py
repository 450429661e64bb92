"""The page of `cospeech demo` as a Hugging Face Space. Outside of one it is for this machine alone."""

import os

from cospeech.cli import main

HOST = "0.0.0.0" if "SPACE_ID" in os.environ else "127.0.0.1"

raise SystemExit(main(["demo", "--host", HOST, "--max-seconds", "60"]))
