"""Data that were not complete or not digested when a notice left: bank data, by the statements themselves and by what
ingest said of them, and documents that take a claim away and that the ledger had not booked."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from audit.bank_days import Link, chain_through, is_calendar, last_before
from audit.contact_policy import ContactPolicy
from audit.knowledge import MARGIN, Knowledge
from audit.log_reader import Event
from audit.obstacles_of_time import Ticks

STATEMENT_SOURCE = "camt.053"


class DataObstacles:
    """Asked notice by notice; chains are remembered by the number of statements known."""

    def __init__(self, known: Knowledge, companies: dict[str, Any], ticks: Ticks) -> None:
        self._known, self._companies, self._ticks = known, companies, ticks
        self._statements = known.log.of("statement.received")
        self._accepted = [e for e in known.log.of("statement.released") if e.data["outcome"] == "booked"]
        self._chains: dict[tuple[str, str, int, int], date | None] = {}
        self._cancelled = {e.data["document_id"]: e for e in known.log.of("invoice.cancelled")}
        self._documents_of = {
            str(item_id): course.states[0].data["document_id"] for item_id, course in known.items.items()
        }
        self._in_ledger = set(self._documents_of.values())
        self._credits = known.log.of("credit_memo.issued")

    def against(self, notice: Event, on: date, policies: list[ContactPolicy]) -> Iterator[str]:
        decided_at = notice.instant("decided_at")
        yield from self._bank_data(notice, on, decided_at, policies)
        yield from self._documents(notice, decided_at)

    def _bank_data(self, notice: Event, on: date, decided_at: datetime, policies: list[ContactPolicy]) -> Iterator[str]:
        accounts = [
            (owner, account)
            for owner, config in self._companies.items()
            for account in config["bank_accounts"]
            if owner == notice.company or notice.company in account.get("serves", ())
        ]
        if not accounts and all(policy.no_bank_data != "accepted" for policy in policies):
            yield "the company has no bank account and its policy does not accept that"
        for owner, account in accounts:
            name, calendar = f"bank account {owner}/{account['id']}", account.get("calendar", "XECB")
            if not is_calendar(calendar):
                yield f"calendar {calendar} of {name} is unknown"
                continue
            needed = last_before(calendar, on)
            through, said = self._through(owner, account, decided_at), self._told(owner, account["id"], decided_at)
            if through is None or through < needed:
                yield f"data of {name} reach {through}, needed {needed}"
            elif said is None or said < needed:
                yield f"ingest said that data of {name} reach {said}, needed {needed}"

    def _through(self, owner: str, account: dict[str, Any], decided_at: datetime) -> date | None:
        """How far the statements themselves reach; a source without statements only states a day."""
        if account.get("booking_source", STATEMENT_SOURCE) != STATEMENT_SOURCE:
            return self._told(owner, account["id"], decided_at)
        accepted = {e.data["statement_id"] for e in self._accepted if e.known_at <= decided_at}
        known = [
            e for e in self._statements
            if (e.company, e.data["bank_account"]) == (owner, account["id"]) and e.known_at <= decided_at
            and (e.data["balanced"] or e.data["statement_id"] in accepted)
        ]  # fmt: skip
        key = (owner, account["id"], len(known), len(accepted))
        if key not in self._chains:
            self._chains[key] = chain_through(
                Link(e.day("from_on"), e.day("to_on"), e.data["opening_minor"], e.data["closing_minor"],
                     e.data["statement_id"] in accepted)
                for e in known
            )  # fmt: skip
        return self._chains[key]

    def _told(self, owner: str, account_id: str, decided_at: datetime) -> date | None:
        """The furthest day that ingest named from the last tick at the margin to the decision."""
        ticks = self._ticks.window("ingest", decided_at - MARGIN, decided_at)
        texts = [tick.data["companies"].get(owner, {}).get("bank_accounts", {}).get(account_id) for tick in ticks]
        return max((date.fromisoformat(text) for text in texts if text), default=None)

    def _documents(self, notice: Event, decided_at: datetime) -> Iterator[str]:
        """A cancellation or a credit memo that was in and that the ledger had not booked."""
        limit = decided_at - MARGIN
        for stated in notice.data["items"]:
            document_id = self._documents_of.get(stated["item_id"])
            cancelled = self._cancelled.get(document_id)
            if cancelled is not None and cancelled.known_at < limit:
                yield f"item {stated['number']}: its document was cancelled at {cancelled.known_at.isoformat()}"
        for memo in self._credits:
            mine = (memo.company, memo.data["account_id"]) == (notice.company, notice.data["account_id"])
            if mine and memo.known_at < limit and memo.data["document_id"] not in self._in_ledger:
                yield f"credit memo {memo.data['number']} of {memo.data['total_minor']} was not booked"
