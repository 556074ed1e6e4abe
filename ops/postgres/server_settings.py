"""The settings of the embedded server."""

from collections.abc import Mapping

# How a server for one city's hub differs from PostgreSQL's own defaults, and why.
SERVER_SETTINGS: Mapping[str, str] = {
    # Commit, then answer: what was acknowledged survives a crash. PostgreSQL's defaults, written
    # down because DESIGN.md's eighth principle rests on them.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # The working set (open bills, today's credits) fits; more would only take from the page cache
    # of a machine that also runs the hub.
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    # Eight processes of 16 connections, and room for an administrator.
    "max_connections": "200",
    # Fewer, spread-out checkpoints: each one makes the next write of a page log it whole.
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "wal_compression": "on",
    "wal_buffers": "16MB",
    # Solid-state disks: an index page costs about as much as a sequential one.
    "random_page_cost": "1.1",
    # Plans for queries of milliseconds: compiling them costs more than it saves.
    "jit": "off",
    # Queues (notices, outbox) are small tables with much traffic: vacuum them early.
    "autovacuum_naptime": "15s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.05",
    # A client that vanished must not keep its locks for the two hours of TCP's own default.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "client_connection_check_interval": "5s",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_lock_waits": "on",
    "log_min_duration_statement": "1s",
    "log_checkpoints": "off",
    "cluster_name": "phopay",
}
