"""Requests of people about their vehicles: what is held about a plate, and its erasure."""
