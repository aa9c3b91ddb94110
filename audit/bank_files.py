"""The original bank files against the log: each line of a booked statement is one payment, return or debit event.

A statement that is restated (re-sent, longer, re-issued) counts its equal lines by maximum, disjoint ones add.
"""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from lxml import etree

from audit.camt_reader import BankLine, FileStatement, read_statements
from audit.equation import DEBIT_EVENTS, Terms, signed_debit
from audit.findings import Findings
from audit.log_reader import Event, Log
from audit.statement_states import StatementStates, account_of, name_of
from audit.stores import Row, Store

STATEMENT_SOURCE = "camt.053"
Line = tuple[str, str, int, str, str, str, str]
"""Bank account, currency, signed minor units, booked on, valued on, bank reference, end-to-end reference."""


def configured(log: Log) -> dict[str, dict[str, Any]]:
    """Per company its last configuration."""
    return {event.company: event.data for event in log.of("company.configured")}


def check_bank_files(ingest: Store, log: Log, blobs: Path, journal: Terms | None, findings: Findings) -> None:
    """Every line in every original file against the events, in both directions."""
    companies = configured(log)
    booked: dict[tuple[str, str], list[FileStatement]] = defaultdict(list)
    files = 0
    states = StatementStates(ingest["statements"], log, findings)
    for submission in ingest["submissions"]:
        if submission["format"] != STATEMENT_SOURCE:
            continue
        files += 1
        accounts = companies.get(submission["company"], {}).get("bank_accounts", [])
        for statement in _statements(submission, blobs, states):
            account = account_of(statement, accounts)
            if states.is_booked(submission, account, statement):
                booked[submission["company"], account["id"]].append(statement)
    totals: Terms = defaultdict(Counter)
    for (company, account), statements in sorted(booked.items()):
        cut = clusters(_distinct(statements), states.apart)
        _check_account(company, account, cut, log, ingest, totals, findings)
    _check_unfiled(companies, booked, log, findings)
    if journal is not None:
        _check_totals(totals, journal, companies, findings)
    findings.figures["bank_files"] = files
    findings.figures["statements"] = sum(len(found) for found in booked.values())


def blob_path(blobs: Path, sha256: str) -> Path:
    return blobs / sha256[:2] / sha256[2:]


def _statements(submission: Row, blobs: Path, states: StatementStates) -> list[FileStatement]:
    path = blob_path(blobs, submission["sha256"])
    name = name_of(submission)
    found = states.findings.true(path.exists(), "file {} ({}) is not in the blob store", name, submission["sha256"])
    if not found:
        return []
    try:
        return list(read_statements(path, name))
    except etree.XMLSyntaxError as problem:
        states.unreadable_file(submission, str(problem))
        return []


def _check_account(
    company: str,
    account: str,
    cut: list[list[FileStatement]],
    log: Log,
    ingest: Store,
    totals: Terms,
    findings: Findings,
) -> None:
    expected: Counter[Line] = Counter()
    for cluster in cut:
        expected += _restated(account, cluster)
    found = Counter(event_line(event) for event in bank_events(log, company, account))
    for line, count in expected.items():
        side = "credits" if line[2] > 0 else "debits"
        totals[company, account, line[1]][side] += count * abs(line[2])
    refused = _refused(ingest, company)
    findings.checks += sum(expected.values())
    for line in sorted(set(expected) | set(found)):
        missing = expected[line] - found[line]
        while missing > 0 and refused[abs(line[2]), line[1]]:
            refused[abs(line[2]), line[1]] -= 1
            missing -= 1
        if missing:
            what = "line missing" if missing > 0 else "line too many"
            findings.true(
                False, "{}: {}, {} in the bank files, {} in the log", _named(company, line), what, expected[line],
                found[line],
            )  # fmt: skip


def _named(company: str, line: Line) -> str:
    account, currency, signed, booked, valued, reference, end_to_end = line
    return f"{company} {account} {booked} {signed} {currency} (valued {valued}, bank {reference!r}, {end_to_end!r})"


def _line(account: str, line: BankLine) -> Line:
    return (
        account, line.currency, line.signed_minor, line.booked_on, line.valued_on, line.bank_reference, line.end_to_end
    )  # fmt: skip


def event_line(event: Event) -> Line:
    """An event in the form of a line of a file."""
    data = event.data
    signed = data["amount_minor"] if event.type == "payment.received" else signed_debit(event)
    references = data.get("references") or {}
    return (
        data["bank_account"], data["currency"], signed, data["accounted_on"], data["valued_on"],
        " ".join(references.get("bank", "").split()), " ".join(references.get("end_to_end", "").split()),
    )  # fmt: skip


def bank_events(log: Log, company: str, account: str) -> list[Event]:
    found = log.of("payment.received", *DEBIT_EVENTS)
    return [event for event in found if event.company == company and event.data["bank_account"] == account]


def _distinct(statements: list[FileStatement]) -> list[FileStatement]:
    """The same statement in several files counts once."""
    seen: dict[tuple, FileStatement] = {}
    for s in statements:
        seen.setdefault((s.printed_id, s.number, s.from_on, s.to_on, s.opening_minor, s.closing_minor, s.lines), s)
    return list(seen.values())


def clusters(statements: list[FileStatement], apart: set[int] = frozenset()) -> list[list[FileStatement]]:
    """Statements that state the same days again stand together; those that continue each other's balance do not, nor
    those (by `id`) that a person said to be apart."""
    found = [[statement] for statement in statements if id(statement) in apart]
    joining = [statement for statement in statements if id(statement) not in apart]
    for statement in sorted(joining, key=lambda s: (s.from_on, s.to_on)):
        near = [cluster for cluster in found if id(cluster[0]) not in apart]
        touching = [cluster for cluster in near if any(_restates(statement, other) for other in cluster)]
        found = [cluster for cluster in found if cluster not in touching]
        found.append([statement, *(other for cluster in touching for other in cluster)])
    return found


def _restates(a: FileStatement, b: FileStatement) -> bool:
    if a.from_on > b.to_on or b.from_on > a.to_on:
        return False
    if a.number and a.number == b.number and a.opening_minor == b.opening_minor:
        return True
    return a.opening_minor != b.closing_minor and b.opening_minor != a.closing_minor


def _restated(account: str, cluster: list[FileStatement]) -> Counter[Line]:
    most: Counter[Line] = Counter()
    for statement in cluster:
        most |= Counter(_line(account, line) for line in statement.lines)
    return most


def _refused(ingest: Store, company: str) -> Counter[tuple[int, str]]:
    """Lines that ingest quarantined: they are in a file and, rightly, not in the log."""
    return Counter(
        (row["amount_minor"], row["currency"])
        for row in ingest["quarantined"]
        if row["company"] == company
        and row["kind"] == "bank_line"
        and row["state"] in ("open", "retrying", "discarded")
    )


def _check_unfiled(
    companies: dict[str, Any], booked: dict[tuple[str, str], list[FileStatement]], log: Log, findings: Findings
) -> None:
    """Events of an account that is booked from statements, though no file has a statement of it."""
    for company, config in companies.items():
        for account in config["bank_accounts"]:
            if (
                account.get("booking_source", STATEMENT_SOURCE) != STATEMENT_SOURCE
                or (company, account["id"]) in booked
            ):
                continue
            events = bank_events(log, company, account["id"])
            findings.true(not events, "{} {}: {} events and no bank file", company, account["id"], len(events))


def _check_totals(totals: Terms, journal: Terms, companies: dict[str, Any], findings: Findings) -> None:
    by_file = {
        (company, account["id"])
        for company, config in companies.items()
        for account in config["bank_accounts"]
        if account.get("booking_source", STATEMENT_SOURCE) == STATEMENT_SOURCE
    }
    for key in sorted(k for k in set(totals) | set(journal) if k[:2] in by_file):
        for side in ("credits", "debits"):
            findings.equal(
                totals[key][side],
                journal[key][side],
                "{} {} {}: " + side + " in the bank files and in the journal",
                *key,
            )
