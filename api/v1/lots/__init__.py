"""Lots: what they are, their lanes, and how full they are."""
