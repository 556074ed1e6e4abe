"""A seeded simulation: a model of what should be true beside the real hub, worker and sandbox."""
