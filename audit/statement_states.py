"""What became of each statement of the original files: booked, or held, refused or unreadable, which is only noted.

Invariant: a statement that ingest booked and the auditor cannot read or find is a finding, never a note.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from audit.camt_reader import FileStatement
from audit.findings import Findings
from audit.log_reader import Log
from audit.money import show
from audit.stores import Row

UNATTRIBUTED = "unattributed"


def account_of(statement: FileStatement, accounts: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The configured bank account of a statement, by IBAN or id and by currency."""
    for account in accounts:
        iban = "".join(account.get("iban", "").split()).upper()
        named = (iban and iban in statement.numbers) or account["id"] in statement.numbers
        if named and statement.currency in ("", account["currency"]):
            return account
    return None


@dataclass(slots=True)
class StatementStates:
    """Asked statement by statement. `apart`: statements whose equal lines a person said to add to those booked."""

    rows: list[Row]
    log: Log
    findings: Findings
    apart: set[int] = field(default_factory=set)
    _released: set[str] = field(init=False)
    _adding: set[str] = field(init=False)
    _told: set[tuple] = field(default_factory=set)

    def __post_init__(self) -> None:
        released = self.log.of("statement.released")
        self._released = {e.data["statement_id"] for e in released if e.data["outcome"] == "booked"}
        commands = [e.data for e in self.log.of("command.accepted") if e.data["body"].get("overlap") == "add"]
        self._adding = {row["statement_id"] for row in self.rows for c in commands if _names(c, row["statement_id"])}

    def unreadable_file(self, submission: Row, problem: str) -> None:
        """A whole file that the auditor cannot read: a finding if ingest booked anything of it."""
        self._unreadable(f"file {name_of(submission)}", self._of(submission["submission_id"]), problem)

    def is_booked(self, submission: Row, account: dict[str, Any] | None, statement: FileStatement) -> bool:
        """Whether its lines must be in the log. What ingest keeps back is noted with its sums."""
        name = f"statement {statement.printed_id} in {statement.file}"
        mine = [r for r in self._of(submission["submission_id"]) if r["printed_id"] == statement.printed_id]
        if statement.unreadable:
            self._unreadable(name, [r for r in mine if r["number"] in ("", statement.number)], statement.unreadable)
            return False
        if account is None:
            self._note("of no configured bank account", None, statement, name)
            return False
        same = [row for row in self.rows if _is_same(row, submission["company"], account["id"], statement)]
        if not same and any(row["state"] == UNATTRIBUTED for row in mine):
            self._note(UNATTRIBUTED, account, statement, name)
            return False
        name = f"statement {statement.printed_id} of {submission['company']} {account['id']} in {statement.file}"
        if not self.findings.true(same, "{} is unknown to ingest", name):
            return False
        booked = [row for row in same if row["state"] == "booked"]
        if not booked:
            self._note(same[-1]["state"], account, statement, name)
            return False
        self._check_balance(booked, account, statement, name)
        return True

    def _of(self, submission_id: str) -> list[Row]:
        return [row for row in self.rows if row["submission_id"] == submission_id]

    def _check_balance(self, booked: list[Row], account: dict[str, Any], statement: FileStatement, name: str) -> None:
        """A booked statement adds up, unless the account does not ask for it or a person released it as it is."""
        ids = {row["statement_id"] for row in booked}
        if ids & self._adding:
            self.apart.add(id(statement))
        if account.get("unbalanced", "hold") != "hold":
            return
        balance = (statement.opening_minor or 0) + statement.moved_minor
        if ids & self._released and statement.closing_minor != balance:
            self.findings.note(f"{name} does not add up and was released by a person")
        else:
            what = "{}: closing balance by its opening balance and lines"
            self.findings.equal(statement.closing_minor, balance, what, name)

    def _unreadable(self, name: str, rows: Iterable[Row], problem: str) -> None:
        states = {row["state"] for row in rows}
        if "booked" in states:
            self.findings.true(False, "{} was booked and cannot be read: {}", name, problem)
        elif (name, problem) not in self._told:
            self._told.add((name, problem))
            became = ", ".join(sorted(states)) or "not booked"
            self.findings.note(f"{name} cannot be read ({problem}); ingest says: {became}")

    def _note(self, state: str, account: dict[str, Any] | None, statement: FileStatement, name: str) -> None:
        identity = (
            statement.numbers, statement.printed_id, statement.number, statement.from_on, statement.to_on,
            statement.opening_minor, statement.closing_minor, statement.lines,
        )  # fmt: skip
        if (state, identity) in self._told:
            return
        self._told.add((state, identity))
        currency = account["currency"] if account else statement.currency
        credits = sum(max(line.signed_minor, 0) for line in statement.lines)
        debits = credits - statement.moved_minor
        self.findings.note(
            f"{name} is {state}: {len(statement.lines)} lines, credits {show(credits, currency)}, debits "
            f"{show(debits, currency)} are not in the books"
        )


def name_of(submission: Row) -> str:
    return submission["file_name"] or submission["sha256"][:12]


def _names(command: dict[str, Any], statement_id: str) -> bool:
    return statement_id in (command["body"].get("statement_id"), *command["route"].split("/"))


def _is_same(row: Row, company: str, account_id: str, statement: FileStatement) -> bool:
    return (
        (row["company"], row["bank_account"]) == (company, account_id)
        and (row["printed_id"], row["number"]) == (statement.printed_id, statement.number)
        and (row["opening_minor"], row["closing_minor"]) == (statement.opening_minor, statement.closing_minor)
    )
