"""Peers that the hub is compared with, measured in the same run on the same PostgreSQL."""
