"""Data that were not complete or not digested when a notice left: bank data, things parked or quarantined, documents
that take a claim away and that the ledger had not booked."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from audit.bank_days import Link, chain_through, last_before
from audit.knowledge import MARGIN, Knowledge
from audit.log_reader import Event

HARMLESS = frozenset({"invoice", "debit_memo"})
STATEMENT_SOURCE = "camt.053"


class DataObstacles:
    """Asked notice by notice; chains are remembered by the number of statements known."""

    def __init__(self, known: Knowledge, companies: dict[str, Any]) -> None:
        self._known, self._companies = known, companies
        self._statements = known.log.of("statement.received")
        self._ticks: dict[str, dict[int, Event]] = {}
        for event in known.log.of("clock.ticked"):
            self._ticks.setdefault(event.source, {}).setdefault(event.data["number"], event)
        self._last: dict[tuple[str, datetime], Event | None] = {}
        self._chains: dict[tuple[str, str, int], date | None] = {}
        self._cancelled = {e.data["document_id"]: e for e in known.log.of("invoice.cancelled")}
        self._documents_of = {
            str(item_id): course.states[0].data["document_id"] for item_id, course in known.items.items()
        }
        self._in_ledger = set(self._documents_of.values())
        self._credits = known.log.of("credit_memo.issued")

    def against(self, notice: Event, on: date) -> Iterator[str]:
        decided_at = notice.instant("decided_at")
        yield from self._bank_data(notice, on, decided_at)
        yield from self._quarantined(notice, decided_at)
        yield from self._parked(notice, decided_at)
        yield from self._documents(notice, decided_at)

    def _bank_data(self, notice: Event, on: date, decided_at: datetime) -> Iterator[str]:
        accounts = [
            (owner, account)
            for owner, config in self._companies.items()
            for account in config["bank_accounts"]
            if owner == notice.company or notice.company in account.get("serves", ())
        ]
        policy = self._known.policy(notice.company, "contact", on.isoformat()) or {}
        if not accounts and policy.get("no_bank_data") != "accepted":
            yield "the company has no bank account and its policy does not accept that"
        for owner, account in accounts:
            needed = last_before(account.get("calendar", "XECB"), on)
            through = self._through(owner, account, decided_at)
            if through is None or through < needed:
                yield f"data of bank account {owner}/{account['id']} reach {through}, needed {needed}"

    def _through(self, owner: str, account: dict[str, Any], decided_at: datetime) -> date | None:
        if account.get("booking_source", STATEMENT_SOURCE) != STATEMENT_SOURCE:
            return self._told(owner, account["id"], decided_at)
        known = [
            e for e in self._statements
            if (e.company, e.data["bank_account"]) == (owner, account["id"])
            and e.known_at <= decided_at and e.data["balanced"]
        ]  # fmt: skip
        key = (owner, account["id"], len(known))
        if key not in self._chains:
            self._chains[key] = chain_through(
                Link(e.day("from_on"), e.day("to_on"), e.data["opening_minor"], e.data["closing_minor"]) for e in known
            )
        return self._chains[key]

    def _told(self, owner: str, account_id: str, decided_at: datetime) -> date | None:
        """A source without statements states the day itself; the last tick that was known carries it."""
        last = self._last_tick("ingest", decided_at)
        text = last.data["companies"].get(owner, {}).get("bank_accounts", {}).get(account_id) if last else None
        return date.fromisoformat(text) if text else None

    def _quarantined(self, notice: Event, decided_at: datetime) -> Iterator[str]:
        """Records held back for the account, or of money or credit that could be anybody's."""
        for (company, record_id), course in self._known.quarantined.items():
            if company != notice.company:
                continue
            states = course.window(decided_at)
            if not states or any(event.type == "record.released" for event in states):
                continue
            data = states[0].data
            account_id, amount = data.get("account_id"), data.get("amount_minor")
            nobodys = not account_id and amount is None and data["kind"] not in HARMLESS
            if account_id == notice.data["account_id"] or nobodys:
                yield f"{data['kind']} {record_id} is quarantined since {states[0].known_at.isoformat()}"

    def _parked(self, notice: Event, decided_at: datetime) -> Iterator[str]:
        """Keys that a service upstream had parked, by its last tick before the margin and at the decision."""
        for source in ("cash_application", "collections"):
            before = self._parked_by(source, notice, decided_at - MARGIN)
            yield from sorted(before & self._parked_by(source, notice, decided_at))

    def _parked_by(self, source: str, notice: Event, at: datetime) -> set[str]:
        last = self._last_tick(source, at)
        reach = last.data["companies"].get(notice.company, {}) if last else {}
        return {
            f"{thing['kind']} {thing['id']} is parked at {source}"
            for thing in reach.get("parked", ())
            if thing.get("account_id") == notice.data["account_id"]
        }

    def _last_tick(self, source: str, at: datetime) -> Event | None:
        """The newest tick of a service whose instant is not after `at`."""
        key = (source, at)
        if key not in self._last:
            ticks = [e for e in self._ticks.get(source, {}).values() if e.instant("at") <= at]
            self._last[key] = max(ticks, key=lambda e: e.data["number"], default=None)
        return self._last[key]

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
