"""Parking sessions: the way in, who is inside, and what devices that were offline tell."""
