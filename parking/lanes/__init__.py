"""Lanes: commands that open a barrier once, and what its controller says of it (docs/lanes.md)."""
