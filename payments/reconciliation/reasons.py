"""Reasons of proofs. Pure. Every code has its words in api/pages/words."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from payments.reconciliation.rules import ProofRule


class ProofReason(StrEnum):
    """Why a line is what its proof says, with the facts that each code comes with."""

    SAME_PROVIDER_LINE = "same_provider_line"  # named: the provider's own id
    SAME_BANK_REFERENCE = "same_bank_reference"  # named: the bank's reference
    SAME_BILL_REFERENCE = "same_bill_reference"  # named: our reference
    SHARED_BANK_REFERENCE = "shared_bank_reference"  # named, count: of credits
    BANK_REFERENCE_IN_MEMO = "bank_reference_in_memo"  # named
    REFUND_CODE_IN_MEMO = "refund_code_in_memo"  # named: our code of the refund
    REFUND_BANK_REFERENCE = "refund_bank_reference"  # named: the bank's reference
    EXPLAINED_BY = "explained_by"  # by, words: a person's


REASONS: Final[Mapping[ProofRule, ProofReason]] = {
    ProofRule.PROVIDER_LINE: ProofReason.SAME_PROVIDER_LINE,
    ProofRule.BANK_REFERENCE: ProofReason.SAME_BANK_REFERENCE,
    ProofRule.BILL_EXACT: ProofReason.SAME_BILL_REFERENCE,
    ProofRule.BILL_NORMALISED: ProofReason.SAME_BILL_REFERENCE,
    ProofRule.BANK_REFERENCE_SUM: ProofReason.SHARED_BANK_REFERENCE,
    ProofRule.MEMO_BANK_REFERENCE: ProofReason.BANK_REFERENCE_IN_MEMO,
    ProofRule.REFUND_CODE: ProofReason.REFUND_CODE_IN_MEMO,
    ProofRule.REFUND_REFERENCE: ProofReason.REFUND_BANK_REFERENCE,
    ProofRule.BY_HAND: ProofReason.EXPLAINED_BY,
}
