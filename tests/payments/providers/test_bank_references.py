"""Bank references that identify a transfer."""

import pytest

from payments.providers.bank_references import is_identifying_reference


@pytest.mark.parametrize(
    "reference",
    [
        None, "", " ", "\t", "-", "--", ".", "…", "0", "00", "NULL", "null", "N/A", "n/a", "NA",
        "NONE", "None", "NODATA", "undefined", "KHONG CO", "12", "0007", "5012", "#5012", "No. 12",
        "00000000", "000000000000", "000000000012", "0000-0000-0012", "99999999999", "XXXXXXXX",
        "20261120", "1", "A1", "CT 0007", "-----------", "0.0.0.0.0.0.0.0.0",
        "１２３４５６７８９０１",
    ],
)  # fmt: skip
def test_fillers_words_and_counters_identify_nothing(reference: str | None) -> None:
    assert not is_identifying_reference(reference)


@pytest.mark.parametrize(
    "reference",
    [
        "FT26324000123", "ft26324000123", "TF230204212323", "208V009252001310", "FT26324-0001.23",
        "MBVCB.3278907687", "020097040512010001", "SB0123456789AB", "5078 - 123456789",
        "124c33293c43417ab7879e14c8d9eb18", "CA000000000012",
    ],
)  # fmt: skip
def test_a_transfers_own_number_identifies_it(reference: str) -> None:
    assert is_identifying_reference(reference)
