"""Which accounts evidence connects with cash: payer's bank account, exact name, a document or reference cited, and the
exact amount where at most twenty accounts fit. Own folding, own search; only whole numbers count as cited.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from unicodedata import combining, normalize

from audit.log_reader import Event

ACCOUNTS_PER_AMOUNT_MAX = 20
NUMBER_CHARS_MIN, NUMBER_DIGITS_MIN = 6, 4
LEGAL_FORMS = frozenset(
    "AB AG AS BV CO COMPANY CORP CORPORATION EK GBR GMBH GROUP HOLDING INC INCORPORATED KG KGAA LIMITED LLC LLP LP LTD"
    " MBH NV OHG OY PLC PTY SA SAS SARL SE SL SLU SNC SPA SRL UG".split()
)
_NOT_ALNUM, _DIGITS, _WORDS = re.compile("[^A-Z0-9]"), re.compile(r"\d+"), re.compile("[A-Z0-9]+")


@lru_cache(maxsize=100_000)
def fold(text: str) -> str:
    """Upper case without accents."""
    return "".join(c for c in normalize("NFKD", text) if not combining(c)).upper()


def compact(text: str) -> str:
    """Letters and digits only."""
    return _NOT_ALNUM.sub("", fold(text))


@lru_cache(maxsize=100_000)
def name_key(name: str) -> str:
    """Words of a name in any order, legal forms left out."""
    words = _WORDS.findall(fold(name.replace(".", "")))
    return " ".join(sorted([w for w in words if w not in LEGAL_FORMS] or words))


@dataclass(frozen=True, slots=True)
class Cash:
    """Money that could be somebody's: what it says of its payer and of what it pays."""

    id: str
    source: str
    company: str
    currency: str
    payer_name: str = ""
    payer_account: str = ""
    texts: tuple[str, ...] = ()


def cash_of_payment(event: Event, source: str) -> Cash:
    """A booked or announced credit."""
    data = event.data
    payer, references = data.get("payer") or {}, data.get("references") or {}
    texts = [
        *data.get("remittance_text", ()),
        references.get("creditor_reference", ""),
        references.get("end_to_end", ""),
    ]
    texts += [line.get("document", "") for line in data.get("remittance", ())]
    return Cash(
        data["payment_id"], source, event.company, data["currency"], payer.get("name", ""), payer.get("account", ""),
        tuple(text for text in texts if text),
    )  # fmt: skip


def cash_of_credit(event: Event, credit: dict[str, Any], number: int) -> Cash:
    """A credit of a held statement."""
    return Cash(
        f"{event.data['statement_id']}/{number}", "held", event.company, event.data["currency"],
        credit.get("payer_hint", ""), credit.get("payer_account", ""), tuple(credit.get("references", ())),
    )  # fmt: skip


def cash_of_record(event: Event) -> Cash:
    """A quarantined payment; any of its hints may be a name, an account or a text."""
    hints = tuple(event.data.get("hints", ()))
    first = hints[0] if hints else ""
    return Cash(
        event.data["record_id"], "quarantined", event.company, event.data.get("currency") or "", first, "", hints
    )


class Register:
    """Accounts and documents of all companies, to be looked up by what cash says."""

    def __init__(self, accounts: Iterable[Event], items: Iterable[Event]) -> None:
        self._by_iban: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._by_name: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._by_digits: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
        self._by_reference: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
        for event in accounts:
            account_id = event.data["account_id"]
            self._by_name[event.company, name_key(event.data["name"])].add(account_id)
            for bank in event.data.get("bank_accounts", ()):
                self._by_iban[event.company, compact(bank["iban"])].add(account_id)
        for event in items:
            self._add_number(event.company, event.data["number"], event.data["account_id"])
            self._add_reference(event.company, event.data.get("payment_reference") or "", event.data["account_id"])

    def _add_number(self, company: str, number: str, account_id: str) -> None:
        whole, runs = compact(number), _DIGITS.findall(compact(number))
        if len(whole) >= NUMBER_CHARS_MIN and runs and len(runs[-1]) >= NUMBER_DIGITS_MIN:
            self._by_digits[company, runs[-1]].add((whole, account_id))

    def _add_reference(self, company: str, reference: str, account_id: str) -> None:
        whole = compact(reference)
        if whole.startswith("RF") and len(whole) >= NUMBER_CHARS_MIN:
            self._by_reference[company, whole[:8]].add((whole, account_id))

    def connects(self, cash: Cash) -> dict[str, set[str]]:
        """Account -> what connects it, amounts left aside."""
        found: dict[str, set[str]] = defaultdict(set)
        if cash.payer_account:
            for account_id in self._by_iban.get((cash.company, compact(cash.payer_account)), ()):
                found[account_id].add("bank_account")
        for name in (cash.payer_name, *(cash.texts if cash.source == "quarantined" else ())):
            for account_id in self._by_name.get((cash.company, name_key(name)), ()) if name_key(name) else ():
                found[account_id].add("name")
        for text in cash.texts:
            for account_id in self._cited(cash.company, text):
                found[account_id].add("reference")
            for account_id in (
                self._by_iban.get((cash.company, compact(text)), ()) if cash.source == "quarantined" else ()
            ):
                found[account_id].add("bank_account")
        return found

    def _cited(self, company: str, text: str) -> set[str]:
        plain, found = compact(text), set()
        for run in set(_DIGITS.findall(plain)):
            for whole, account_id in self._by_digits.get((company, run), ()):
                if _stands(whole, plain):
                    found.add(account_id)
        start = plain.find("RF")
        while start >= 0:
            for whole, account_id in self._by_reference.get((company, plain[start : start + 8]), ()):
                if plain.startswith(whole, start):
                    found.add(account_id)
            start = plain.find("RF", start + 1)
        return found


def _stands(whole: str, plain: str) -> bool:
    """Whether the number stands in the text as a whole, not inside a longer number."""
    start = plain.find(whole)
    while start >= 0:
        before, after = plain[start - 1 : start], plain[start + len(whole) : start + len(whole) + 1]
        if not (before.isdigit() and whole[0].isdigit()) and not after.isdigit():
            return True
        start = plain.find(whole, start + 1)
    return False
