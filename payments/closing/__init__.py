"""Closing a day by account: what proves it, what it carries, and how an account goes live."""
