"""Statements of banks: what an account's bank says happened on it, from files and lists."""
