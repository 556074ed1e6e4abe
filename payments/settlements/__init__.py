"""Settlement statements: what a payee took in a period, what is deducted, and whose the rest is."""
