"""One search over bills, credits, lines of banks, parking sessions and refunds."""
