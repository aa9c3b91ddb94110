"""The money equation, per company, bank account and currency, from sums of journal lines.

opening + credits - debits = applied + on account + unapplied + unidentified + refunds payable + non-AR
+ transferred out - transferred in + small gains - bank charges - debits not yet explained.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.cash_application.domain.journal import Ledger


@dataclass(frozen=True, slots=True)
class Sums:
    """Debits and credits of one journal account for one bank account and currency (both positive)."""

    bank_account: str
    currency: str
    ledger: str
    debit_minor: int
    credit_minor: int


TERM_OF: Mapping[str, tuple[str, int]] = {
    Ledger.AR: ("applied_minor", -1),
    Ledger.AR_DED: ("applied_minor", -1),
    Ledger.ONACC: ("on_account_minor", -1),
    Ledger.UNAPP: ("unapplied_minor", -1),
    Ledger.UNID: ("unidentified_minor", -1),
    Ledger.REFUND: ("refunds_payable_minor", -1),
    Ledger.NON_AR: ("non_ar_minor", -1),
    Ledger.SMALL: ("small_gains_minor", -1),
    Ledger.BANKFEE: ("bank_charges_minor", 1),
    Ledger.SUSPENSE: ("not_explained_minor", 1),
}
"""Journal account -> term and the sign by which a debit balance becomes the term."""

PLUS = (
    "applied_minor", "on_account_minor", "unapplied_minor", "unidentified_minor", "refunds_payable_minor",
    "non_ar_minor", "transferred_out_minor", "small_gains_minor",
)  # fmt: skip
MINUS = ("transferred_in_minor", "bank_charges_minor", "not_explained_minor")


def terms(sums: Iterable[Sums]) -> dict[tuple[str, str], dict[str, int]]:
    """Every term per (bank account, currency). Lines without a bank account are no cash and are left out."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in sums:
        if not row.bank_account:
            continue
        term = found.setdefault((row.bank_account, row.currency), _empty())
        if row.ledger == Ledger.BANK:
            term["credits_minor"] += row.debit_minor
            term["debits_minor"] += row.credit_minor
        elif row.ledger in TERM_OF:
            name, sign = TERM_OF[row.ledger]
            term[name] += sign * (row.debit_minor - row.credit_minor)
        else:
            raise ValueError(
                f"journal account {row.ledger} carries a bank account but is no term of the money equation"
            )
    return found


def difference(term: Mapping[str, int]) -> int:
    """Left side less right side; 0 when the equation holds."""
    left = term["opening_minor"] + term["credits_minor"] - term["debits_minor"]
    return left - sum(term[name] for name in PLUS) + sum(term[name] for name in MINUS)


def _empty() -> dict[str, int]:
    return dict.fromkeys(("opening_minor", "credits_minor", "debits_minor", *PLUS, *MINUS), 0)
