"""Ticket books: pre-printed numbered tickets, given out by serial and counted when handed back."""
