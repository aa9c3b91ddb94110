"""Which accounts evidence connects with cash: payer's bank account, exact name, a document or reference cited, and the
exact amount where at most twenty accounts fit. Own folding, own search; only whole numbers count as cited.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
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


Since = dict[str, datetime]
"""Kind of evidence -> since when it was there: a document that came later connects nothing before."""


class Register:
    """Accounts and documents of all companies, to be looked up by what cash says; each with when it was known."""

    def __init__(self, accounts: Iterable[Event], items: Iterable[Event]) -> None:
        self._by_iban: dict[tuple[str, str], Since] = defaultdict(dict)
        self._by_name: dict[tuple[str, str], Since] = defaultdict(dict)
        self._by_digits: dict[tuple[str, str], dict[tuple[str, str], datetime]] = defaultdict(dict)
        self._by_reference: dict[tuple[str, str], dict[tuple[str, str], datetime]] = defaultdict(dict)
        for event in accounts:
            account_id = event.data["account_id"]
            _keep(self._by_name[event.company, name_key(event.data["name"])], account_id, event.known_at)
            for bank in event.data.get("bank_accounts", ()):
                _keep(self._by_iban[event.company, compact(bank["iban"])], account_id, event.known_at)
        for event in items:
            self._add_number(event, compact(event.data["number"]))
            self._add_reference(event, compact(event.data.get("payment_reference") or ""))

    def _add_number(self, event: Event, whole: str) -> None:
        runs = _DIGITS.findall(whole)
        if len(whole) >= NUMBER_CHARS_MIN and runs and len(runs[-1]) >= NUMBER_DIGITS_MIN:
            _keep(self._by_digits[event.company, runs[-1]], (whole, event.data["account_id"]), event.known_at)

    def _add_reference(self, event: Event, whole: str) -> None:
        if whole.startswith("RF") and len(whole) >= NUMBER_CHARS_MIN:
            _keep(self._by_reference[event.company, whole[:8]], (whole, event.data["account_id"]), event.known_at)

    def connects(self, cash: Cash) -> dict[str, Since]:
        """Account -> what connects it and since when, amounts left aside."""
        found: dict[str, Since] = defaultdict(dict)
        if cash.payer_account:
            for account_id, since in self._by_iban.get((cash.company, compact(cash.payer_account)), {}).items():
                _keep(found[account_id], "bank_account", since)
        hints = cash.texts if cash.source == "quarantined" else ()
        for name in (cash.payer_name, *hints):
            for account_id, since in self._by_name.get((cash.company, name_key(name)), {}).items() if name else ():
                _keep(found[account_id], "name", since)
        for text in cash.texts:
            for account_id, since in self._cited(cash.company, text):
                _keep(found[account_id], "reference", since)
        for text in hints:
            for account_id, since in self._by_iban.get((cash.company, compact(text)), {}).items():
                _keep(found[account_id], "bank_account", since)
        return found

    def _cited(self, company: str, text: str) -> Iterator[tuple[str, datetime]]:
        """Accounts whose document or reference stands in the text as a whole."""
        plain = compact(text)
        for run in set(_DIGITS.findall(plain)):
            for (whole, account_id), since in self._by_digits.get((company, run), {}).items():
                if _stands(whole, plain):
                    yield account_id, since
        start = plain.find("RF")
        while start >= 0:
            for (whole, account_id), since in self._by_reference.get((company, plain[start : start + 8]), {}).items():
                if plain.startswith(whole, start):
                    yield account_id, since
            start = plain.find("RF", start + 1)


def _keep(found: dict, key: object, since: datetime) -> None:
    """The earliest instant counts."""
    found[key] = min(found.get(key, since), since)


def _stands(whole: str, plain: str) -> bool:
    """Whether the number stands in the text as a whole, not inside a longer number."""
    start = plain.find(whole)
    while start >= 0:
        before, after = plain[start - 1 : start], plain[start + len(whole) : start + len(whole) + 1]
        if not (before.isdigit() and whole[0].isdigit()) and not after.isdigit():
            return True
        start = plain.find(whole, start + 1)
    return False
