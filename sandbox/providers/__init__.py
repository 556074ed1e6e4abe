"""One module per provider: what it sends, how it signs, when it tries again, what it calls done."""
