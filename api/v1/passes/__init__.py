"""Passes: monthly ones and exemptions, and the list of them that a lot's phones keep."""
