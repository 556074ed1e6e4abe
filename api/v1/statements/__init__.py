"""Statements of banks: sent as files, looked at, and accepted."""
