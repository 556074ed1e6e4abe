"""Invariants that the time decides: what is past its end, overdue, silent, or was not audited.

Plain SQL, as in queries.py beside this file, with one clock: `:now`. What the hub stamps is
compared with it; what the database stamps (jobs, requests to providers) with the earlier of it and
the database's own, so that a clock that runs behind is no reason for an alarm. Each statement goes
by an index of what is unfinished, or reads a table once.
"""

from typing import Final

NOW: Final = "CAST(:now AS timestamptz)"
DATABASE_NOW: Final = f"least({NOW}, now())"
# What is due is done within seconds; ten minutes are a backlog that nobody works off.
OVERDUE_AFTER: Final = "interval '10 minutes'"
# A queued job may stand behind long ones.
JOB_OVERDUE_AFTER: Final = "interval '2 hours'"
# Every five seconds a process learns who was revoked; while the database is away a token holds for
# fifteen minutes, and then nothing is written.
REVOKED_WITHIN: Final = "interval '16 minutes'"
# How far back the log of changes is compared with what was changed, and what devices did.
LOOKED_BACK: Final = "interval '35 days'"
BLOCK_VALID_FOR: Final = "interval '7 days'"  # blocks_rules
SYNC_WITHIN: Final = "interval '72 hours'"  # blocks_rules


def id_at(instant: str) -> str:
    """Write the lowest UUIDv7 of an instant, as core.ids.first_id_at."""
    ms = f"CAST(extract(epoch FROM {instant}) * 1000 AS bigint)"
    return f"CAST(rpad(lpad(to_hex({ms}), 12, '0'), 32, '0') AS uuid)"


# I5. The lease of a job is renewed while its worker lives, and taken over after its end. Blocks of
# references are for seven days, of serials that their code has given out, and share none. A
# phone brings nobody in or out after it was revoked. A code that enrols one is used in its time.
NOTHING_OUTLIVES_ITS_END: Final = f"""
    SELECT org_id, 'job_lease' AS what, id AS subject_id, due_at AS ended_at
    FROM jobs
    WHERE status = 'running' AND due_at < {DATABASE_NOW} - {OVERDUE_AFTER}
    UNION ALL
    SELECT k.org_id, 'reference_block', k.id, k.expires_at
    FROM (
        SELECT org_id, id, code, last_serial, first_serial, issued_at, expires_at,
               lag(last_serial) OVER (PARTITION BY org_id, code ORDER BY first_serial) AS before
        FROM reference_blocks) AS k
    JOIN organisation_codes c ON (c.org_id, c.code) = (k.org_id, k.code)
    WHERE k.expires_at > k.issued_at + {BLOCK_VALID_FOR} OR k.first_serial <= k.before
       OR k.last_serial >= c.next_serial
    UNION ALL
    SELECT s.org_id, 'device_token', s.id, d.revoked_at
    FROM devices d
    JOIN parking_sessions s ON (s.org_id, s.entry_device_id) = (d.org_id, d.id)
    WHERE d.revoked_at IS NOT NULL AND s.entered_at > d.revoked_at + {REVOKED_WITHIN}
      AND s.id >= {id_at(f"{NOW} - {LOOKED_BACK}")}
    UNION ALL
    SELECT s.org_id, 'device_token', s.id, d.revoked_at
    FROM devices d
    JOIN parking_sessions s ON (s.org_id, s.exit_device_id) = (d.org_id, d.id)
    WHERE d.revoked_at IS NOT NULL AND s.left_at > d.revoked_at + {REVOKED_WITHIN}
      AND s.id >= {id_at(f"{NOW} - {LOOKED_BACK}")}
    UNION ALL
    SELECT org_id, 'enrolment_code', id, expires_at
    FROM device_enrolments WHERE used_at > expires_at + {OVERDUE_AFTER}
"""  # noqa: S608 (our own constants)
# I15. Whatever is due and was not tried for ten minutes: somebody's sweep does not run, or does not
# find it. What failed and is tried again later is not due; a person sees that as a break.
NOTHING_IS_OVERDUE: Final = f"""
    SELECT org_id, 'notice' AS what, id AS subject_id, next_attempt_at AS due_at
    FROM notices
    WHERE handled_at IS NULL AND attempts = 0 AND next_attempt_at < {NOW} - {OVERDUE_AFTER}
    UNION ALL
    SELECT org_id, 'notice', id, next_attempt_at FROM notices
    WHERE handled_at IS NULL AND attempts > 0 AND next_attempt_at < {NOW} - {OVERDUE_AFTER}
    UNION ALL
    SELECT c.org_id, 'bill_change', c.id, c.next_attempt_at
    FROM bill_changes c
    WHERE c.handled_at IS NULL AND c.next_attempt_at < {NOW} - {OVERDUE_AFTER}
      AND NOT EXISTS (SELECT FROM bill_changes e
                      WHERE e.org_id = c.org_id AND e.subject_id = c.subject_id AND e.seq < c.seq
                        AND e.handled_at IS NULL)
    UNION ALL
    SELECT org_id, 'movement', id, due_at FROM (
        SELECT DISTINCT ON (org_id, device_id) org_id, id, coalesce(try_at, received_at) AS due_at
        FROM movements WHERE handled_at IS NULL AND verdict IS NULL
        ORDER BY org_id, device_id, seq, id) AS first
    WHERE due_at < {NOW} - {OVERDUE_AFTER}
    UNION ALL
    SELECT org_id, 'rail_request', bill_id, next_attempt_at FROM rail_requests
    WHERE status IN ('pending', 'unknown', 'open', 'reopened')
      AND next_attempt_at < {DATABASE_NOW} - {OVERDUE_AFTER}
    UNION ALL
    SELECT org_id, 'toll_request', id, next_attempt_at FROM toll_requests
    WHERE (status IN ('pending', 'unknown') OR refund_status = 'pending')
      AND next_attempt_at < {DATABASE_NOW} - {OVERDUE_AFTER}
    UNION ALL
    SELECT org_id, 'job', id, due_at FROM jobs
    WHERE finished_at IS NULL AND status = 'queued'
      AND due_at < {DATABASE_NOW} - {JOB_OVERDUE_AFTER}
    UNION ALL
    SELECT m.org_id, 'awaiting_sync', m.credit_id, m.matched_at
    FROM organisations o JOIN matches m ON m.org_id = o.id
    WHERE m.verdict = 'awaiting_sync' AND m.reversed_at IS NULL
      AND m.verdict NOT IN ('settle', 'counter_sale')
      AND m.matched_at < {NOW} - {SYNC_WITHIN} - {OVERDUE_AFTER}
      AND coalesce(m.next_attempt_at, m.matched_at) < {NOW} - {OVERDUE_AFTER}
    UNION ALL
    SELECT m.org_id, 'rematch', m.credit_id, m.matched_at
    FROM matches m
    WHERE m.reversed_at IS NULL AND m.verdict = 'no_bill'
      AND m.matched_at BETWEEN {NOW} - interval '23 hours' AND {NOW} - {OVERDUE_AFTER}
      AND coalesce(m.next_attempt_at, m.matched_at) < {NOW} - {OVERDUE_AFTER}
      AND EXISTS (SELECT FROM bills b WHERE b.org_id = m.org_id AND b.reference = m.named
                    AND b.created_at < {NOW} - {OVERDUE_AFTER})
    UNION ALL
    SELECT org_id, 'bill_expiry', id, monitor_until FROM bills
    WHERE status IN ('open', 'part_paid')
      AND monitor_until BETWEEN {NOW} - interval '2 days' AND {NOW} - {OVERDUE_AFTER}
"""  # noqa: S608
# I16. What people did to money in the last weeks, each with its row in the log of changes, which
# names who did it.
MONEY_CHANGES_ARE_AUDITED: Final = f"""
    SELECT done.org_id, done.what, done.id AS subject_id, done.done_at FROM (
        SELECT org_id, 'cash_taken' AS what, id, bill_id AS object_id, 'bill.cash_taken' AS action,
               recorded_at AS done_at
        FROM payments WHERE source_kind = 'cash'
        UNION ALL
        SELECT org_id, 'cash_taken_back', id, bill_id, 'bill.cash_taken_back', reversed_at
        FROM payments WHERE source_kind = 'cash' AND reversed_at IS NOT NULL
        UNION ALL
        SELECT org_id, 'bill_cancelled', id, id, 'bill.cancelled', cancelled_at
        FROM bills WHERE cancelled_at IS NOT NULL
        UNION ALL
        SELECT org_id, 'credit_corrected', id, credit_id, 'credit.', matched_at
        FROM matches WHERE matched_by IS NOT NULL
        UNION ALL
        SELECT org_id, 'correction_taken_back', id, credit_id, 'credit.', reversed_at
        FROM matches WHERE reversed_by IS NOT NULL
        UNION ALL
        SELECT org_id, 'decision_proposed', id, break_id, 'break.decision_proposed', proposed_at
        FROM break_decisions
        UNION ALL
        SELECT org_id, 'decision_approved', id, break_id, 'break.decision_approved', decided_at
        FROM break_decisions WHERE status = 'approved'
        UNION ALL
        SELECT org_id, 'account_approved', id, id, 'account.approved', approved_at
        FROM payee_accounts WHERE approved_by IS NOT NULL
        UNION ALL
        SELECT org_id, 'shift_closed', id, id, 'shift.closed', closed_at
        FROM shifts WHERE closed_at IS NOT NULL
        UNION ALL
        SELECT org_id, 'collection_reversed', id, id, 'collection.reversed', reversed_at
        FROM collections WHERE reversed_by IS NOT NULL
        UNION ALL
        SELECT org_id, 'line_explained', id, line_id, 'statement_line.', proved_at
        FROM proofs WHERE proved_by IS NOT NULL
        UNION ALL
        SELECT org_id, 'line_opened', id, line_id, 'statement_line.', reversed_at
        FROM proofs WHERE reversed_by IS NOT NULL) AS done
    WHERE done.done_at > {NOW} - {LOOKED_BACK}
      AND NOT EXISTS (
          SELECT FROM audit_log a
          WHERE a.org_id = done.org_id AND a.object_id = done.object_id
            AND starts_with(a.action, done.action)
            AND (a.actor_id IS NOT NULL OR a.actor_kind = 'system'))
    UNION ALL
    SELECT k.org_id, 'break_closed', k.id, k.closed_at FROM breaks k
    WHERE k.closed_by IS NOT NULL AND k.closed_at > {NOW} - {LOOKED_BACK}
      AND NOT EXISTS (
          SELECT FROM audit_log a
          WHERE a.org_id = k.org_id AND a.object_id IN (k.id, k.subject_id, k.credit_id, k.bill_id))
      AND NOT EXISTS (
          SELECT FROM refunds r JOIN audit_log a ON (a.org_id, a.object_id) = (r.org_id, r.id)
          WHERE (r.org_id, r.break_id) = (k.org_id, k.id))
"""  # noqa: S608
# I17. An hour of the week is a habit of an endpoint if each of the three weeks before brought a
# callback in it. Three such hours that bring none are silence. A few index entries of each endpoint
# are read, whatever it has received.
QUIET_HOURS: Final = 3
WEEK: Final = 168  # hours


def _had_one(*, weeks: int) -> str:
    """Write whether an endpoint `q` received a callback in the hour `h` of so many weeks before.

    Not as EXISTS, which a planner may turn into a join over all notices there are.
    """
    until = f"{NOW} - (h.ago + {weeks * WEEK}) * interval '1 hour'"
    since = f"{NOW} - (h.ago + {weeks * WEEK + 1}) * interval '1 hour'"
    return f"""(
          SELECT n.id FROM notices n WHERE n.org_id = q.org_id AND n.endpoint_id = q.id
            AND n.id >= {id_at(since)} AND n.id < {id_at(until)} AND n.source = 'callback'
          ORDER BY n.id LIMIT 1) IS NOT NULL"""  # noqa: S608


EARNING_ENDPOINTS_ARE_NOT_SILENT: Final = f"""
    WITH q AS MATERIALIZED (
        SELECT e.org_id, e.id, coalesce((
                   SELECT n.id FROM notices n WHERE n.org_id = e.org_id AND n.endpoint_id = e.id
                     AND n.id >= {id_at(f"{NOW} - interval '1 week'")} AND n.id < {id_at(NOW)}
                     AND n.source = 'callback'
                   ORDER BY n.id DESC LIMIT 1), {id_at(f"{NOW} - interval '1 week'")}) AS newest
        FROM callback_endpoints e WHERE e.revoked_at IS NULL
    )
    SELECT q.org_id, q.id AS subject_id, count(*) AS quiet_hours
    FROM q JOIN generate_series(0, {WEEK - 1}) AS h (ago)
      ON {id_at(f"{NOW} - (h.ago + 1) * interval '1 hour'")} >= q.newest
    WHERE q.newest < {id_at(f"{NOW} - {QUIET_HOURS} * interval '1 hour'")}
      AND {_had_one(weeks=1)}
      AND {_had_one(weeks=2)}
      AND {_had_one(weeks=3)}
    GROUP BY q.org_id, q.id HAVING count(*) >= {QUIET_HOURS}
"""  # noqa: S608

TIMED_INVARIANTS: Final[dict[str, str]] = {
    "nothing_outlives_its_end": NOTHING_OUTLIVES_ITS_END,
    "nothing_is_overdue": NOTHING_IS_OVERDUE,
    "money_changes_are_audited": MONEY_CHANGES_ARE_AUDITED,
    "earning_endpoints_are_not_silent": EARNING_ENDPOINTS_ARE_NOT_SILENT,
}
