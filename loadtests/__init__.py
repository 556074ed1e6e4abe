"""Load tests: what is measured beside the hub, and the checks that nothing was lost."""
