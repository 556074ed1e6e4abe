"""One statement for many rows: columns stay side by side, whatever their values are."""

from core.sql import InsertMany


def test_the_statement_names_each_column_once_and_in_the_order_of_the_rows() -> None:
    insert = InsertMany(
        "things",
        {"id": "uuid", "body": "bytea"},
        shared=("org_id", "now"),
        copied={"twin": "id"},
        ending="RETURNING id",
    )

    assert " ".join(str(insert.statement).split()) == (
        "INSERT INTO things (org_id, now, id, body, twin) SELECT :org_id, :now, t.*, t.id"
        " FROM unnest(CAST(:id AS uuid[]), CAST(:body AS bytea[])) AS t (id, body) RETURNING id"
    )
    assert insert.write([(1, b"a"), (2, b"b")], {"org_id": 7, "now": 8}) == {
        "id": [1, 2],
        "body": [b"a", b"b"],
        "org_id": 7,
        "now": 8,
    }
