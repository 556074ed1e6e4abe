"""Lines of statements over HTTP: what explains each, and what people say about it."""
