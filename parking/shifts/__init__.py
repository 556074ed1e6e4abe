"""Shifts: an attendant's turn at a lot, and its close."""
