"""The watch list."""
