"""Passes, exempt lists and watch lists."""
