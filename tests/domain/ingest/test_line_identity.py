"""Whatever windows of an account a bank states again, in whatever order: each line is booked once, equal ones apart."""

from collections import Counter
from datetime import date, timedelta
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.bank_lines import line_key, signed_minor
from services.ingest.domain.known import Context, Known, KnownLine, StagedRecord
from services.ingest.domain.taking import Taking
from shared.events.control import BankAccount, CompanyConfigured
from shared.events.payments import PaymentReceived, PaymentReturned

ACCOUNT = BankAccount(id="EUR-1", iban="DE89370400440532013000", currency="EUR", calendar="XECB")
CONFIG = CompanyConfigured(
    company="acme", base_currency="EUR", time_zone="Europe/Berlin", calendar="XECB", bank_accounts=[ACCOUNT]
)
FIRST = date(2026, 1, 5)
Move = tuple[int, str]


class Bank:
    """A true account: moves (amount, text) per day; statements are windows over their sequence."""

    def __init__(self, days: list[list[Move]]) -> None:
        self.moves = [(FIRST + timedelta(days=n), amount, text) for n, day in enumerate(days) for amount, text in day]

    def balance(self, at: int) -> int:
        return sum(amount for _, amount, _ in self.moves[:at])

    def statement(self, start: int, end: int, number: str = "") -> list[StagedRecord]:
        window = self.moves[start:end]
        bodies = [_body(*move) for move in window]
        days = {day.isoformat() for day, _, _ in window}
        head = {
            "id": f"{start}-{end}-{number}",
            "number": number,
            "iban": ACCOUNT.iban,
            "currency": "EUR",
            "from": window[0][0].isoformat(),
            "opening": _balance(self.balance(start), window[0][0]),
            "closing": _balance(self.balance(end), window[-1][0]),
            "credits": _plain(sum(amount for _, amount, _ in window if amount > 0)),
            "debits": _plain(-sum(amount for _, amount, _ in window if amount < 0)),
            "first_booked_on": window[0][0].isoformat(),
            "last_booked_on": window[-1][0].isoformat(),
            "lines": len(window),
            "days": {on: _plain(sum(a for day, a, _ in window if day.isoformat() == on)) for on in days},
        }
        seen: Counter[str] = Counter()
        records = [StagedRecord(0, "statement", "head", head, group=0)]
        for position, body in enumerate(bodies, 1):
            key = line_key(body)
            seen[key] += 1
            records.append(StagedRecord(position, "bank_line", "line", body, 0, key, seen[key]))
        return records


def _plain(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}" if minor >= 0 else f"-{-minor // 100}.{-minor % 100:02d}"


def _balance(minor: int, on: date) -> dict[str, str]:
    return {"amount": _plain(minor), "currency": "EUR", "on": on.isoformat(), "type": ""}


def _body(on: date, amount: int, text: str) -> dict:
    return {
        "direction": "CRDT" if amount > 0 else "DBIT",
        "reversal": amount < 0,
        "status": "BOOK",
        "amount": _plain(abs(amount)),
        "currency": "EUR",
        "booked_on": on.isoformat(),
        "valued_on": on.isoformat(),
        "text": [text],
    }


class Door:
    """The decisions of ingest over several files, without a store."""

    def __init__(self) -> None:
        self.known, self.facts, self.held = Known(), [], 0

    def take(self, records: list[StagedRecord], number: int) -> None:
        known = self.known
        known.groups, known.awaited = {}, frozenset()
        there = {key for _, key in known.lines}
        known.equal_lines = frozenset({0} if any(r.line_key in there for r in records) else ())
        context = Context(uuid5(UUID(int=0), str(number)), "acme", CONFIG, FIRST)
        written = Taking(context, known).take_all(records)
        assert not written.quarantined
        self.facts += [said.fact for said in written.said if isinstance(said.fact, PaymentReceived | PaymentReturned)]
        self.held += bool(written.held_lines)

    def booked(self) -> Counter[Move]:
        return Counter((f.document_on, signed_minor(f), _text(f)) for f in self.facts)


def _text(fact: PaymentReceived | PaymentReturned) -> str:
    return next(text for text in fact.remittance_text if not text.startswith("/RTRN/"))


def _covered(bank: Bank, windows: list[tuple[int, int]]) -> Counter[Move]:
    places = {place for start, end in windows for place in range(start, end)}
    return Counter(bank.moves[place] for place in places)


TEXTS = st.sampled_from(["rent", "fee", "R-1"])
CREDITS = st.tuples(st.sampled_from([1000, 2500]), TEXTS)
MOVES = st.tuples(st.sampled_from([1000, 2500, -1000, -2500]), TEXTS)


@st.composite
def stories(
    draw: st.DrawFn, moves: st.SearchStrategy[Move], *, from_morning: bool = False
) -> tuple[Bank, list[tuple[int, int]]]:
    """An account and windows over it; `from_morning`: every window begins with a day, as banks' statements do."""
    days = draw(st.lists(st.lists(moves, min_size=1, max_size=4), min_size=1, max_size=4))
    bank, size = Bank(days), sum(map(len, days))
    mornings = [sum(map(len, days[:n])) for n in range(len(days))]
    starts = st.sampled_from(mornings) if from_morning else st.integers(0, size - 1)
    window = st.tuples(starts, st.integers(1, size)).filter(lambda w: w[0] < w[1])
    return bank, draw(st.lists(window, min_size=1, max_size=6))


@given(stories(CREDITS, from_morning=True))
def test_statements_of_credits_in_any_order_book_every_line_once(story: tuple[Bank, list[tuple[int, int]]]) -> None:
    bank, windows = story
    door = Door()
    for number, (start, end) in enumerate(windows):
        door.take(bank.statement(start, end), number)
        assert door.booked() <= _covered(bank, windows[: number + 1]), "a line was booked twice"
    assert len({str(f) for f in door.facts}) == len(door.facts)
    if not door.held:
        assert door.booked() == _covered(bank, windows), "a line was lost"


@given(st.lists(st.lists(MOVES, min_size=1, max_size=4), min_size=1, max_size=4), st.data())
def test_disjoint_statements_add_and_repeating_them_changes_nothing(
    days: list[list[Move]], data: st.DataObject
) -> None:
    bank = Bank(days)
    cuts = sorted({0, len(bank.moves), *data.draw(st.lists(st.integers(1, len(bank.moves)), max_size=4))})
    windows = list(zip(cuts, cuts[1:], strict=False))
    door = Door()
    for number, (start, end) in enumerate(windows, 1):
        door.take(bank.statement(start, end, str(number)), number)
    if not door.held:
        assert door.booked() == Counter(bank.moves)
    before = len(door.facts)
    for number, (start, end) in enumerate(windows, 1):
        door.take(bank.statement(start, end, str(number)), 100 + number)
    assert len(door.facts) == before
    assert door.booked() <= Counter(bank.moves)


@given(stories(CREDITS))
def test_windows_of_credits_that_begin_anywhere_never_book_a_line_twice(
    story: tuple[Bank, list[tuple[int, int]]],
) -> None:
    bank, windows = story
    door = Door()
    for number, (start, end) in enumerate(windows):
        door.take(bank.statement(start, end), number)
    assert door.booked() <= _covered(bank, windows)


@given(stories(MOVES, from_morning=True))
def test_statements_of_any_moves_never_book_a_line_twice(story: tuple[Bank, list[tuple[int, int]]]) -> None:
    bank, windows = story
    door = Door()
    for number, (start, end) in enumerate(windows):
        door.take(bank.statement(start, end), number)
    assert door.booked() <= _covered(bank, windows)


def test_equal_lines_of_one_statement_have_different_ids() -> None:
    bank, door = Bank([[(1000, "rent"), (1000, "rent"), (1000, "rent")]]), Door()
    door.take(bank.statement(0, 3), 1)
    assert len({f.payment_id for f in door.facts}) == 3
    assert isinstance(door.known.lines[CONFIG.bank_accounts[0].id, line_key(_body(FIRST, 1000, "rent"))][0], KnownLine)
