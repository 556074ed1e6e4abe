"""Tariffs: dated price rules, what a stay costs by them, and signed quotes."""
