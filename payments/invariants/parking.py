"""Invariants of parking: stays, collections, receipts, shifts and the ledger agree.

Plain SQL, as in queries.py beside this file; each statement returns a row per violation.
"""

from typing import Final

# What was collected for a stay in money, what was waived, and what its bills were paid, is what the
# stay says, with what counts for it of a stay that was joined into it; a pass that was shown is no
# money, its amount says what the stay would have cost. A bill whose change was not handled yet is
# left out: its stay is notified in a moment.
_STAYS_AGREE: Final = """
    SELECT org_id, session_id, sum(said_vnd) AS said_vnd, sum(collected_vnd) AS collected_vnd,
           sum(said_billed_vnd) AS said_billed_vnd, sum(billed_vnd) AS billed_vnd,
           sum(said_waived_vnd) AS said_waived_vnd, sum(waived_vnd) AS waived_vnd
    FROM (
        SELECT org_id, id AS session_id, paid_vnd - bill_paid_vnd AS said_vnd, 0 AS collected_vnd,
               bill_paid_vnd AS said_billed_vnd, 0 AS billed_vnd, waived_vnd AS said_waived_vnd,
               0 AS waived_vnd
        FROM parking_sessions
        WHERE (paid_vnd <> 0 OR bill_paid_vnd <> 0 OR waived_vnd <> 0){of_stays}
        UNION ALL
        SELECT org_id, session_id, 0, amount_vnd, 0, 0, 0, 0
        FROM collections WHERE reversed_at IS NULL AND session_id IS NOT NULL
          AND rail IN ('cash', 'float'){of_collections}
        UNION ALL
        SELECT org_id, kept_id, 0, moved_vnd, 0, 0, 0, waived_vnd FROM stay_links
        WHERE true{of_kept}
        UNION ALL
        SELECT org_id, other_id, 0, -moved_vnd, 0, 0, 0, -waived_vnd FROM stay_links
        WHERE true{of_others}
        UNION ALL
        SELECT org_id, session_id, 0, 0, 0, 0, 0, amount_vnd
        FROM collections WHERE reversed_at IS NULL AND rail = 'exempt'{of_collections}
        UNION ALL
        SELECT b.org_id, b.owner_id, 0, 0, 0, b.paid_vnd, 0, 0 FROM bills b
        WHERE b.owner_kind = 'parking_session' AND b.paid_vnd <> 0{of_bills}
          AND (b.status <> 'cancelled' OR NOT EXISTS (
              SELECT FROM breaks k WHERE k.org_id = b.org_id AND k.kind = 'refund_due'
                AND k.subject_id = b.id))) AS all_of_it
    WHERE NOT EXISTS (
        SELECT FROM bill_changes c WHERE c.org_id = all_of_it.org_id AND c.handled_at IS NULL
          AND c.owner_kind = 'parking_session' AND c.owner_id = all_of_it.session_id)
    GROUP BY org_id, session_id
    HAVING sum(said_vnd) <> sum(collected_vnd) OR sum(said_billed_vnd) <> sum(billed_vnd)
        OR sum(said_waived_vnd) <> sum(waived_vnd)
"""
STAYS_AGREE_WITH_WHAT_WAS_PAID: Final = _STAYS_AGREE.format(
    of_stays="", of_collections="", of_kept="", of_others="", of_bills=""
)
# The same of the stays of one organisation whose ids lie between two: a city has millions in a
# month, and each table has an index that this range reads.
_BOUNDED: Final = " AND {0}org_id = :org_id AND {0}{1} >= :first_id AND {0}{1} < :end_id"
STAYS_OF_A_DAY_AGREE: Final = _STAYS_AGREE.format(
    of_stays=_BOUNDED.format("", "id"),
    of_collections=_BOUNDED.format("", "session_id"),
    of_kept=_BOUNDED.format("", "kept_id"),
    of_others=_BOUNDED.format("", "other_id"),
    of_bills=_BOUNDED.format("b.", "owner_id"),
)
# A closed shift expects the change in its bag and its cash, and has posted just that cash, with
# the variance of the count.
SHIFTS_AGREE_WITH_THEIR_CASH: Final = """
    SELECT org_id, shift_id, sum(expected_vnd) AS expected_vnd, sum(cash_vnd) AS cash_vnd,
           sum(posted_vnd) AS posted_vnd, sum(variance_vnd) AS variance_vnd,
           sum(posted_variance_vnd) AS posted_variance_vnd
    FROM (
        SELECT org_id, id AS shift_id, expected_vnd - change_vnd AS expected_vnd, 0 AS cash_vnd,
               0 AS posted_vnd, counted_vnd - expected_vnd AS variance_vnd,
               0 AS posted_variance_vnd
        FROM shifts WHERE closed_at IS NOT NULL
        UNION ALL
        SELECT c.org_id, c.shift_id, 0, c.amount_vnd, 0, 0, 0
        FROM collections c JOIN shifts s ON (s.org_id, s.id) = (c.org_id, c.shift_id)
        WHERE c.rail = 'cash' AND c.reversed_at IS NULL AND s.closed_at IS NOT NULL
        UNION ALL
        SELECT c.org_id, c.shift_id, 0, -t.amount_vnd, 0, 0, 0
        FROM postings t JOIN collections c ON (c.org_id, c.id) = (t.org_id, t.cause_id)
        WHERE t.cause_kind = 'late_collection'
        UNION ALL
        SELECT org_id, cause_id, 0, 0, CASE step WHEN 0 THEN amount_vnd ELSE 0 END, 0,
               CASE WHEN step = 0 THEN 0 WHEN debit_code = 'cash_in_drawer' THEN amount_vnd
                    ELSE -amount_vnd END
        FROM postings WHERE cause_kind = 'shift_close') AS all_sides
    GROUP BY org_id, shift_id
    HAVING sum(expected_vnd) <> sum(cash_vnd) OR sum(cash_vnd) <> sum(posted_vnd)
        OR sum(variance_vnd) <> sum(posted_variance_vnd)
"""
# Cash that a phone reported after its shift's close is posted by itself, out of the variance.
LATE_CASH_POSTS_ONCE: Final = """
    SELECT t.org_id, t.cause_id AS collection_id, t.amount_vnd AS posted_vnd,
           c.amount_vnd AS said_vnd
    FROM postings t
    LEFT JOIN collections c ON (c.org_id, c.id) = (t.org_id, t.cause_id) AND c.rail = 'cash'
         AND c.reversed_at IS NULL
    WHERE t.cause_kind = 'late_collection' AND c.amount_vnd IS DISTINCT FROM t.amount_vnd
"""
# Each cash ticket has its receipt, in force as long as the ticket is.
CASH_HAS_ITS_RECEIPT: Final = """
    SELECT org_id, collection_id, sum(wanted) AS wanted, sum(found) AS found FROM (
        SELECT org_id, id AS collection_id, CASE WHEN reversed_at IS NULL THEN 1 ELSE 0 END
               AS wanted, 0 AS found
        FROM collections WHERE rail = 'cash'
        UNION ALL
        SELECT org_id, subject_id, 0, CASE WHEN cancelled_at IS NULL THEN 1 ELSE 0 END
        FROM documents WHERE subject_kind = 'collection') AS both_sides
    GROUP BY org_id, collection_id HAVING sum(wanted) <> sum(found)
"""
# The numbers of a series are 1, 2, 3 … to its last.
DOCUMENTS_HAVE_NO_GAPS: Final = """
    SELECT s.org_id, s.id AS series_id, s.last_number, count(d.id) AS documents,
           coalesce(max(d.number), 0) AS highest
    FROM document_series s LEFT JOIN documents d ON (d.org_id, d.series_id) = (s.org_id, s.id)
    GROUP BY s.org_id, s.id, s.last_number
    HAVING s.last_number <> count(d.id) OR s.last_number <> coalesce(max(d.number), 0)
"""
# What was collected by a lot's poster is the sale that the lot was last notified of, whole; and
# nothing is where the sale was withdrawn. Changes that were not handled yet are left out.
POSTERS_AGREE_WITH_THEIR_SALES: Final = """
    SELECT org_id, credit_id, sum(said_vnd) AS said_vnd, sum(sold_vnd) AS sold_vnd FROM (
        SELECT org_id, credit_id, amount_vnd AS said_vnd, 0 AS sold_vnd
        FROM collections WHERE credit_id IS NOT NULL AND reversed_at IS NULL
        UNION ALL
        SELECT * FROM (
            SELECT DISTINCT ON (c.org_id, c.subject_id) c.org_id, c.subject_id, 0,
                   CASE c.to_status WHEN 'received' THEN b.amount_vnd ELSE 0 END
            FROM bill_changes c
            JOIN bank_transactions b ON (b.org_id, b.id) = (c.org_id, c.subject_id)
            WHERE c.owner_kind = 'parking_lot' AND c.handled_at IS NOT NULL
            ORDER BY c.org_id, c.subject_id, c.seq DESC) AS last) AS both_sides
    WHERE NOT EXISTS (
        SELECT FROM bill_changes w WHERE w.org_id = both_sides.org_id
          AND w.subject_id = both_sides.credit_id AND w.handled_at IS NULL)
    GROUP BY org_id, credit_id HAVING sum(said_vnd) <> sum(sold_vnd)
"""

PARKING_INVARIANTS: Final[dict[str, str]] = {
    "stays_agree_with_what_was_paid": STAYS_AGREE_WITH_WHAT_WAS_PAID,
    "shifts_agree_with_their_cash": SHIFTS_AGREE_WITH_THEIR_CASH,
    "late_cash_posts_once": LATE_CASH_POSTS_ONCE,
    "cash_has_its_receipt": CASH_HAS_ITS_RECEIPT,
    "posters_agree_with_their_sales": POSTERS_AGREE_WITH_THEIR_SALES,
    "documents_have_no_gaps": DOCUMENTS_HAVE_NO_GAPS,
}
# What the running hub checks day by day; a restore and the tests check the whole.
BY_DAY: Final[dict[str, str]] = {"stays_agree_with_what_was_paid": STAYS_OF_A_DAY_AGREE}
