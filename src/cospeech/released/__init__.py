"""Checkpoints that others published, in their own layouts -> checkpoint directories."""
