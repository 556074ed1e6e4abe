"""SQL of the search. No table of the payments' hot path has an index for it.

A code, a reference and a plate have indexes that others need. Amounts and words are looked for
among the newest rows: an index of the words of a bank's lines made writing them four times slower
when it was tried (50,000 lines: 2.1 s without it, 7.3 to 8.1 s with it), and trigrams
are more.
"""

from typing import Final

from sqlalchemy import text

# A text has all words, in lower case and without marks on either side; each text is folded once.
HAS_WORDS: Final = """(
    SELECT bool_and(strpos(folded, word) > 0)
    FROM unnest(CAST(:words AS text[])) AS word,
         lower(translate(regexp_replace(
             normalize({}, NFD), '[\u0300-\u036f]', '', 'g'), 'đĐ', 'dd')) AS folded)"""

SET_LIMIT: Final = text("""
    SELECT set_config('statement_timeout', :within_ms, true)
""")

FIND_BILLS: Final = text("""
    WITH found AS (
        SELECT id FROM bills WHERE org_id = :org_id AND reference = ANY(CAST(:references AS text[]))
        UNION
        SELECT id FROM bills
        WHERE org_id = :org_id AND external_id IS NOT NULL
          AND external_id = ANY(CAST(:codes AS text[]))
        UNION
        SELECT id FROM (
            SELECT id, amount_vnd FROM bills
            WHERE org_id = :org_id AND CAST(:amount_vnd AS bigint) IS NOT NULL
            ORDER BY id DESC LIMIT :recent) AS newest
        WHERE amount_vnd = CAST(:amount_vnd AS bigint))
    SELECT b.id, b.reference, b.amount_vnd, b.status, b.purpose, b.created_at AS at,
           p.name AS payee
    FROM found JOIN bills b ON b.org_id = :org_id AND b.id = found.id
    JOIN payees p ON p.org_id = b.org_id AND p.id = b.payee_id
    ORDER BY b.id DESC LIMIT :limit
""")

# A bank's reference is kept by account: an organisation's accounts are few beside its credits.
FIND_CREDITS: Final = text(f"""
    WITH found AS (
        SELECT t.id FROM receiving_accounts a JOIN bank_transactions t
          ON t.org_id = a.org_id AND t.receiving_account_id = a.id
          AND t.bank_reference <> '' AND t.bank_reference = ANY(CAST(:codes AS text[]))
        WHERE a.org_id = :org_id AND cardinality(CAST(:codes AS text[])) > 0
        UNION
        SELECT id FROM (
            SELECT id, amount_vnd FROM bank_transactions
            WHERE org_id = :org_id AND CAST(:amount_vnd AS bigint) IS NOT NULL
            ORDER BY received_at DESC LIMIT :recent) AS newest
        WHERE amount_vnd = CAST(:amount_vnd AS bigint)
        UNION
        SELECT id FROM (
            SELECT id, memo FROM bank_transactions
            WHERE org_id = :org_id AND cardinality(CAST(:words AS text[])) > 0
            ORDER BY received_at DESC LIMIT :recent_memos) AS newest
        WHERE {HAS_WORDS.format("memo")})
    SELECT t.id, t.bank_reference, t.amount_vnd, t.direction, t.memo, t.occurred_at AS at
    FROM found JOIN bank_transactions t ON t.org_id = :org_id AND t.id = found.id
    ORDER BY t.occurred_at DESC LIMIT :limit
""")  # noqa: S608 (our own words)

# A reference stands as in the file. Row-level security keeps upper() of a column from its index:
# PostgreSQL does not hold that function to be leakproof.
FIND_LINES: Final = text(f"""
    WITH found AS (
        SELECT id FROM statement_lines
        WHERE org_id = :org_id AND bank_reference <> ''
          AND bank_reference = ANY(CAST(:codes AS text[]))
        UNION
        SELECT id FROM (
            SELECT id, amount_vnd FROM statement_lines
            WHERE org_id = :org_id AND CAST(:amount_vnd AS bigint) IS NOT NULL
            ORDER BY id DESC LIMIT :recent) AS newest
        WHERE amount_vnd = CAST(:amount_vnd AS bigint)
        UNION
        SELECT id FROM (
            SELECT id, concat_ws(' ', memo, bank_reference, counterparty_name, counterparty_account)
                       AS words
            FROM statement_lines
            WHERE org_id = :org_id AND cardinality(CAST(:words AS text[])) > 0
            ORDER BY id DESC LIMIT :recent_memos) AS newest
        WHERE {HAS_WORDS.format("words")})
    SELECT l.id, l.statement_id, l.line_no, l.bank_reference, l.amount_vnd, l.direction, l.memo,
           l.counterparty_name, l.booked_on
    FROM found JOIN statement_lines l ON l.org_id = :org_id AND l.id = found.id
    ORDER BY l.booked_on DESC, l.id DESC LIMIT :limit
""")  # noqa: S608 (our own words)

FIND_STAYS: Final = text("""
    SELECT s.id, s.plate, s.vehicle_class, s.status, s.entered_at AS at, s.left_at, s.price_vnd,
           s.paid_vnd, l.name AS lot
    FROM parking_sessions s JOIN lots l ON l.org_id = s.org_id AND l.id = s.lot_id
    WHERE s.org_id = :org_id AND s.plate = CAST(:plate AS text)
    ORDER BY s.id DESC LIMIT :limit
""")

FIND_REFUNDS: Final = text(f"""
    WITH newest AS (
        SELECT id, bill_id, amount_vnd, bank_reference, destination_name FROM refunds
        WHERE org_id = :org_id ORDER BY id DESC LIMIT :recent
    ), found AS (
        SELECT r.id FROM bills b JOIN refunds r ON r.org_id = b.org_id AND r.bill_id = b.id
        WHERE b.org_id = :org_id AND b.reference = ANY(CAST(:references AS text[]))
        UNION
        SELECT id FROM newest
        WHERE amount_vnd = CAST(:amount_vnd AS bigint)
           OR upper(bank_reference) = ANY(CAST(:codes AS text[]))
           OR (cardinality(CAST(:words AS text[])) > 0 AND destination_name IS NOT NULL
               AND {HAS_WORDS.format("destination_name")}))
    SELECT r.id, r.amount_vnd, r.status, r.reason, r.bank_reference, r.requested_at AS at
    FROM found JOIN refunds r ON r.org_id = :org_id AND r.id = found.id
    ORDER BY r.id DESC LIMIT :limit
""")  # noqa: S608 (our own words)
