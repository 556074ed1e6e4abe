"""Photos of vehicles: taken in, stored once by their hash, shown by short-lived links, erased."""
