"""The ground of every part: database, errors, money, clock, ids, settings, logging.

No noun of the trade (bill, payee, stall, plate, …) may appear in this package.
"""
