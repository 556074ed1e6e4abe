"""Readers of statements, pure: a file in, lines and row errors out; no database, no network."""
