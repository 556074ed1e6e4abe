"""Traffic: phones at gates, drivers and shoppers, as a program of its own.

It knows the hub by its HTTP routes alone, as phones do, and pays in the sandbox's bank app.
"""
