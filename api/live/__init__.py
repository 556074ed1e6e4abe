"""Live screens: events of the database to open pages."""
