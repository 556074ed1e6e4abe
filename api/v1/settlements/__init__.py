"""Settlement statements over HTTP."""
