"""One file per architecture, its config beside its network."""
