"""Motion <-> file, one module for each format; `cospeech.save` picks by suffix."""
