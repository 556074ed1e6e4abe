"""Jobs in PostgreSQL: work that outlives a request, queued in any package's own transaction.

A job is run at least once, and by one worker at a time. See docs/adr/0009-jobs-in-postgresql.md.
"""
