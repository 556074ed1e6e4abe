"""Lots: who runs them, their licences, areas, lanes, and how many vehicles they hold."""
