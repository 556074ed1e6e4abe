"""Complaints: made without a login, answered by people within working days."""
