"""The way out: find, quote, pay, leave."""
