"""What cash_application vouched for in each day.closed against an independent fold of the log up to that marker.

Counted are events that stand before the marker in their partition, dated by `accounted_on` up to its day.
"""

from collections import Counter, defaultdict
from datetime import date

from audit.equation import difference, terms
from audit.findings import Findings
from audit.journal import first_lines
from audit.ledger_log import ITEM_EVENTS
from audit.log_reader import Event, Log
from audit.stores import Row, Store

PLACES = ("applied_minor", "unapplied_minor", "on_account_minor")
FROM_LOG = ("applied", "unapplied", "on_account", "unidentified", "small_gains", "credits")
FROM_JOURNAL = ("debits", "bank_charges", "not_explained", "refunds_payable", "non_ar")


def closed_days(log: Log) -> dict[tuple[str, date, int], dict[int, Event]]:
    """Per company, day and number: the subledger's marker in each partition."""
    found: dict[tuple[str, date, int], dict[int, Event]] = defaultdict(dict)
    for event in log.of("day.closed"):
        if event.topic == "ar.ledger" and event.source == "cash_application":
            key = (event.data["company"], date.fromisoformat(event.data["date"]), event.data["number"])
            found[key][event.partition] = event
    return found


def check_control_totals(log: Log, store: Store | None, findings: Findings) -> None:
    """Each marker once: the same totals in every partition, and each figure by the fold."""
    fold = Fold(log)
    journal = Lines(store) if store is not None else None
    days = closed_days(log)
    for (company, on, _), markers in sorted(days.items(), key=lambda entry: entry[0][2]):
        first = next(iter(markers.values()))
        totals = first.data["totals"]
        same = all(marker.data["totals"] == totals for marker in markers.values())
        findings.true(same, "day.closed {} {}: its copies name different totals", company, on)
        fold.advance({partition: marker.offset for partition, marker in markers.items()})
        _check_items(company, on, totals, fold, findings)
        _check_banks(company, on, totals, fold, journal, findings)
    findings.figures["closed_days"] = len(days)


class Lines:
    """Journal lines that carry bank cash, with their business date; and debits charged to accounts as new items, which
    no payment's split tells."""

    def __init__(self, store: Store) -> None:
        self.days = {row["posting_id"]: row["business_date"] for row in store["postings"]}
        self.cash = [line for line in store["lines"] if line["bank_account"]]
        charges = {row["item_id"] for row in store["items"] if row["kind"] == "charge"}
        opened = set(first_lines(store).values())
        self.charged = [line for line in self.cash if line["item_id"] in charges and line["id"] in opened]

    def until(self, company: str, on: date) -> list[Row]:
        """Lines of a company accounted for up to a day."""
        return [line for line in self.cash if line["company"] == company and line["accounted_on"] <= on]

    def charged_until(self, company: str, on: date) -> Counter[tuple[str, str]]:
        sums: Counter[tuple[str, str]] = Counter()
        for line in self.charged:
            if line["company"] == company and line["accounted_on"] <= on:
                sums[line["bank_account"], line["currency"]] += line["amount_minor"]
        return sums


class Fold:
    """Items and payments by version as far as the markers have gone, per partition in the order of the log."""

    def __init__(self, log: Log) -> None:
        self._waiting: dict[int, list[Event]] = defaultdict(list)
        for event in log.events:
            if event.topic == "ar.ledger" and event.type not in ("day.closed", "clock.ticked"):
                self._waiting[event.partition].append(event)
        for events in self._waiting.values():
            events.reverse()
        self.items: dict[str, list[Event]] = defaultdict(list)
        self.payments: dict[str, list[Event]] = defaultdict(list)

    def advance(self, ends: dict[int, int]) -> None:
        """Take in what stands before the markers."""
        for partition, end in ends.items():
            waiting = self._waiting[partition]
            while waiting and waiting[-1].offset < end:
                self._take(waiting.pop())

    def _take(self, event: Event) -> None:
        if event.type in ITEM_EVENTS:
            self.items[event.data["item_id"]].append(event)
        elif "payment_version" in event.data:
            self.payments[event.data["payment_id"]].append(event)

    def open_items(self, company: str, on: date) -> Counter[tuple[str, str]]:
        """Remaining per currency and side."""
        sums: Counter[tuple[str, str]] = Counter()
        for events in self.items.values():
            state = _as_of(events, "version", on)
            if state is not None and state.company == company:
                sums[state.data["currency"], state.data["side"]] += state.data["remaining_minor"]
        return sums

    def banks(self, company: str, on: date) -> dict[tuple[str, str], Counter[str]]:
        """Terms per bank account and currency that payments alone tell."""
        sums: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for events in self.payments.values():
            state = _as_of(events, "payment_version", on)
            if state is not None and state.company == company:
                _add(sums[state.data["bank_account"], state.data["currency"]], state)
        return sums


def _as_of(events: list[Event], version: str, on: date) -> Event | None:
    """The highest version that was accounted for up to a day."""
    dated = [
        event for event in events if event.data.get("accounted_on") and event.data["accounted_on"] <= on.isoformat()
    ]
    return max(dated, key=lambda event: event.data[version], default=None)


def _add(sums: Counter[str], state: Event) -> None:
    data = state.data
    sums["credits"] += data["amount_minor"]
    for part in data["split"]:
        for name in PLACES:
            sums[name.removesuffix("_minor")] += part[name]
    sums["unidentified"] += data["unidentified_minor"]
    sums["small_gains"] += data["small_gain_minor"]


def _check_items(company: str, on: date, totals: dict, fold: Fold, findings: Findings) -> None:
    found = fold.open_items(company, on)
    told = {
        (c, side): sides.get(f"{side}_minor", 0)
        for c, sides in totals.get("items", {}).items()
        for side in ("debit", "credit")
    }
    for key in sorted(set(found) | set(told)):
        findings.equal(found[key], told.get(key, 0), "day.closed {} {}: open {} {} by the log", company, on, *key)


def _check_banks(company: str, on: date, totals: dict, fold: Fold, journal: Lines | None, findings: Findings) -> None:
    found = fold.banks(company, on)
    told = {
        (bank, body["currency"]): Counter({n.removesuffix("_minor"): v for n, v in body.items() if n != "currency"})
        for bank, body in totals.get("bank_accounts", {}).items()
    }
    charged = journal.charged_until(company, on) if journal else Counter()
    for key in sorted(set(found) | set(told)):
        term = told.get(key, Counter())
        findings.equal(0, difference(term), "day.closed {} {} {} {}: the money equation", company, on, *key)
        for name in FROM_LOG:
            expected = found[key][name] - (charged[key] if name == "applied" else 0)
            findings.equal(expected, term[name], "day.closed {} {} {} {}: " + name + " by the log", company, on, *key)
    if journal is not None:
        _check_journal(company, on, told, journal, findings)


def _check_journal(company: str, on: date, told: dict, journal: Lines, findings: Findings) -> None:
    """Debits and what explains them, by lines; lines of later business days may or may not have been in yet."""
    own = journal.until(company, on)
    strict = terms([line for line in own if journal.days.get(line["posting_id"], on) <= on])
    late = _absolute([line for line in own if journal.days.get(line["posting_id"], on) > on])
    for bank, currency in told:
        key = (company, bank, currency)
        for name in FROM_JOURNAL:
            expected, found = strict[key][name], told[bank, currency][name]
            findings.checks += 1
            if abs(expected - found) > late[key]:
                findings.true(False, "day.closed {} {} {} {}: {} is {}, by the journal {}", company, on, bank, currency,
                              name, found, expected)  # fmt: skip


def _absolute(lines: list[Row]) -> Counter[tuple[str, str, str]]:
    sums: Counter[tuple[str, str, str]] = Counter()
    for line in lines:
        if line["bank_account"]:
            sums[line["company"], line["bank_account"], line["currency"]] += abs(line["amount_minor"])
    return sums
