"""Who pays: the accounts for which a payer is known, and names that merely look alike.

Known means: the bank account stands on the ERP's record of the customer, or name *and* customer number agree with it;
and whoever is known for an account is known for those it pays for. A name that looks alike only suggests.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rapidfuzz import fuzz

from services.cash_application.domain.matching.folding import account_number, name_key
from services.cash_application.domain.matching.model import AccountView, Candidates, PaymentView

ALIKE_MIN = 88
ALIKE_LEAD = 6


@dataclass(frozen=True, slots=True)
class Payer:
    """`known`: account -> how (`bank_account`, `name_and_account`, `pays_for`). `owners`: those known directly.
    `named`: accounts whose name is exactly the payer's. `alike`: the one account whose name is clearly nearest."""

    known: dict[str, str]
    owners: tuple[str, ...]
    named: frozenset[str]
    alike: str | None
    parked: frozenset[str]

    def knows(self, account_id: str, name_is_witness: bool) -> str | None:
        """How the payer is known for the account of a cited document (the document is what a name needs beside it)."""
        if how := self.known.get(account_id):
            return how
        return "name_and_account" if name_is_witness and account_id in self.named else None

    @property
    def someone(self) -> frozenset[str]:
        """Accounts that the payer surely or by exact name is; a citation of any other account contradicts them."""
        return frozenset(self.known) | self.named

    @property
    def sole_owner(self) -> str | None:
        """The one account that pays, None if nobody is known or several share the bank account."""
        return self.owners[0] if len(self.owners) == 1 else None


def recognise(payment: PaymentView, candidates: Candidates, cited_accounts: frozenset[str]) -> Payer:
    """What the ERP's records of the candidate accounts say about the payer."""
    bank_account = account_number(payment.payer_account)
    key = name_key(payment.payer_name)
    named = frozenset(a.account_id for a in candidates.accounts if key and name_key(a.name) == key)
    known: dict[str, str] = {}
    for account in candidates.accounts:
        if bank_account and any(account_number(own) == bank_account for own in account.bank_accounts):
            known[account.account_id] = "bank_account"
        elif account.account_id in named and account.account_id in cited_accounts:
            known[account.account_id] = "name_and_account"
    owners = tuple(sorted(known))
    linked = {to: "pays_for" for a in candidates.accounts if a.account_id in known for to in a.pays_for}
    parked = frozenset(a.account_id for a in candidates.accounts if a.parked)
    alike = None if named or not key else _alike(key, candidates.accounts)
    return Payer({**linked, **known}, owners, named, alike, parked)


def _alike(key: str, accounts: Iterable[AccountView]) -> str | None:
    """The account with the nearest name; none if it is not near enough or another is nearly as near."""
    scored = sorted(
        ((round(fuzz.token_set_ratio(key, name_key(a.name))), a.account_id) for a in accounts), reverse=True
    )
    if not scored or scored[0][0] < ALIKE_MIN:
        return None
    return scored[0][1] if len(scored) == 1 or scored[0][0] - scored[1][0] >= ALIKE_LEAD else None
