"""Parking: places and tariffs, the way in, the way out, passes, and attendants' shifts."""
