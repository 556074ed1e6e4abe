"""Ticket books: given out for a shift, handed back, and which tickets are missing."""
