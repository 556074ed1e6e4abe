"""Devices: phones that are enrolled at a lot, their tokens, and the PINs of who uses them."""
