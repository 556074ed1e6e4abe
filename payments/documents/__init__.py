"""Documents: series of numbered documents without gaps."""
