"""Days of the books: what keeps each open, closing it, and what proves an account."""
