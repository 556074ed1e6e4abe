"""Plates read from photos, to be confirmed by a person. See docs/plate-reading.md."""
