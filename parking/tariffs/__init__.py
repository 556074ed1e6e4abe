"""Tariffs: dated price rules, the price of a stay, signed quotes. Pure: no database, no clock."""
