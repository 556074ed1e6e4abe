"""Parking operators: the sellers that run lots."""
