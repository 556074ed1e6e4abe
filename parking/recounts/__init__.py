"""Recounts: an inspector counts what stands inside, at a random moment or one they choose."""
