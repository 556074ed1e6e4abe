"""Collections: what was taken for parking without a bill of its own."""
