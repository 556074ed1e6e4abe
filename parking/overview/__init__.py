"""Read models over all of parking: stays with their evidence, a lot's day, data requests."""
