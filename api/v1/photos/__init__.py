"""Photos of vehicles."""
