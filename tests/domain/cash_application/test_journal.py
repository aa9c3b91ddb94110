"""Entries balance, reversals restore, base amounts leave nothing behind."""

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cash_application.domain.cash import Place, Receipt
from services.cash_application.domain.exchange import Exchange, Rate, RateMissing
from services.cash_application.domain.items import Item, discounts_of_instalments, item_fact
from services.cash_application.domain.journal import (
    CHART,
    FUNDINGS,
    REVERSAL,
    Imbalance,
    Kind,
    Ledger,
    Line,
    Posting,
    check,
)
from services.cash_application.domain.matching.model import PaymentView
from shared.events.ledger import ItemChanged, ItemOpened, ItemReopened, ItemSettled, Relief

DAY = date(2026, 1, 5)
USD = Rate("USD", "EUR", Decimal(1) / Decimal("1.0837"))
amounts = st.integers(min_value=1, max_value=10**12)


def posting(*lines: Line, currency: str = "EUR") -> Posting:
    known = datetime(2026, 1, 5, tzinfo=UTC)
    identity = UUID(int=1)
    return Posting(
        identity,
        "acme",
        Kind.RECEIPT,
        "recoup",
        currency,
        "EUR",
        identity,
        DAY,
        DAY,
        DAY,
        known,
        "x",
        lines=list(lines),
    )


def an_item(original: int, rate: Rate = USD, side: str = "debit") -> Item:
    return Item(
        "acme", UUID(int=2), UUID(int=3), "001", "INV-1", "invoice", side, "C1", rate.currency, original, original,
        DAY, DAY, DAY, DAY, rate,
    )  # fmt: skip


def a_receipt(amount: int, rate: Rate = USD) -> Receipt:
    view = PaymentView(str(UUID(int=4)), "acme", "B1", rate.currency, amount, DAY)
    return Receipt("acme", UUID(int=4), "B1", rate.currency, amount, DAY, DAY, DAY, DAY, rate, view)


def test_every_account_is_described_and_relief_has_a_field_per_funding():
    assert set(CHART) == set(Ledger)
    assert tuple(Relief.model_fields) == FUNDINGS


def test_every_kind_that_people_may_undo_has_a_typed_reversal():
    undoable = {Kind.DOCUMENT, Kind.RECEIPT, Kind.APPLICATION, Kind.CREDIT_USE, Kind.CASH_MOVE, Kind.REFUND_APPROVED}
    assert set(REVERSAL) == undoable


@pytest.mark.parametrize(
    "lines",
    [
        (Line(Ledger.BANK, 100, 100, bank_account="B1"), Line(Ledger.UNAPP, -99, -99, bank_account="B1")),
        (Line(Ledger.BANK, 100, 100, bank_account="B1"), Line(Ledger.UNAPP, -100, -100, bank_account="B2")),
        (Line(Ledger.BANK, 100, 100, bank_account="B1"), Line(Ledger.UNAPP, -100, -100)),
        (Line(Ledger.AR, 100, 100), Line(Ledger.ERP_CONTROL, -100, -99)),
    ],
)
def test_an_entry_that_does_not_balance_is_refused(lines):
    with pytest.raises(Imbalance):
        posting(*lines).close()


@given(amounts, st.integers(-(10**9), 10**9))
def test_the_exchange_difference_closes_an_entry_in_base(amount: int, difference: int):
    lines = (
        Line(Ledger.BANK, amount, amount + difference, bank_account="B1"),
        Line(Ledger.UNAPP, -amount, -amount, bank_account="B1"),
    )
    closed = posting(*lines, currency="USD").close()
    check(closed)
    assert sum(line.base_minor for line in closed.lines if line.ledger is Ledger.FXR) == -difference


@given(amounts, st.lists(amounts, max_size=12))
def test_relief_in_any_steps_leaves_no_base_behind(original: int, steps: list[int]):
    """J: the last payment takes the rest."""
    item = an_item(original)
    base = USD.base(original)
    for minor in [*steps, original]:
        if item.remaining_minor:
            base += item.relieve("cash", min(minor, item.remaining_minor)).base_minor
    assert base == 0
    assert item.relief[0] == original


@given(st.data())
def test_taking_relief_back_restores_the_item(data):
    item = an_item(data.draw(amounts), side=data.draw(st.sampled_from(["debit", "credit"])))
    before = (item.remaining_minor, list(item.relief))
    steps = []
    for funding in data.draw(st.lists(st.sampled_from(FUNDINGS), max_size=6)):
        if item.remaining_minor:
            minor = data.draw(st.integers(1, item.remaining_minor))
            steps.append((funding, minor, item.relieve(funding, minor)))
    for funding, minor, line in reversed(steps):
        back = item.relieve(funding, -minor)
        assert (back.amount_minor, back.base_minor) == (-line.amount_minor, -line.base_minor)
    assert (item.remaining_minor, item.relief) == before


@pytest.mark.parametrize(("funding", "minor"), [("cash", 101), ("cash", -1), ("credit", -1)])
def test_relief_beyond_its_bounds_is_refused(funding: str, minor: int):
    with pytest.raises(Imbalance):
        an_item(100).relieve(funding, minor)


@given(st.data())
def test_places_of_a_receipt_never_go_below_zero_and_keep_their_base(data):
    receipt = a_receipt(10**12)
    base = 0
    for _ in range(data.draw(st.integers(1, 8))):
        held = receipt.at(Place.UNAPPLIED, "C1")
        base += receipt.put(Place.UNAPPLIED, "C1", data.draw(st.integers(-held, 10**9))).base_minor
    base += receipt.put(Place.UNAPPLIED, "C1", -receipt.at(Place.UNAPPLIED, "C1")).base_minor
    assert base == 0
    with pytest.raises(Imbalance):
        receipt.put(Place.UNAPPLIED, "C1", -1)


def test_a_receipt_whose_parts_do_not_make_up_the_amount_is_refused():
    receipt = a_receipt(100)
    receipt.put(Place.UNIDENTIFIED, "", 99)
    with pytest.raises(Imbalance, match="is split into"):
        receipt.check()


@pytest.mark.parametrize(
    ("version", "before", "now", "kind"),
    [(1, 100, 100, ItemOpened), (2, 100, 0, ItemSettled), (2, 0, 100, ItemReopened), (2, 100, 50, ItemChanged),
     (2, 0, 0, ItemChanged)],
)  # fmt: skip
def test_the_event_of_an_item_follows_from_before_and_after(version: int, before: int, now: int, kind: type):
    item = an_item(100)
    if now < 100:
        item.relieve("cash", 100 - now)
    item.version, item.before_minor = version, before
    assert type(item_fact(item)) is kind


def test_rates_are_found_either_way_and_never_guessed():
    published = {"EUR/USD": "1.25", "GBP/EUR": "1.1"}
    exchange = Exchange(lambda company, pair, on: published.get(pair))
    assert exchange.rate("acme", "USD", "EUR", DAY, DAY).base(1_000) == 800
    assert exchange.rate("acme", "GBP", "EUR", DAY, DAY).base(1_000) == 1_100
    assert exchange.rate("acme", "JPY", "JPY", DAY, DAY).base(7) == 7
    with pytest.raises(RateMissing, match="EUR/CHF or CHF/EUR"):
        exchange.rate("acme", "CHF", "EUR", DAY, DAY)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=12), st.integers(0, 10**9))
def test_discounts_are_shared_out_without_loss(parts: list[int], discount: int):
    discount = min(discount, sum(parts))
    shared = discounts_of_instalments([(DAY, discount)], parts, sum(parts))
    assert sum(d.amount_minor for own in shared for d in own) == discount


def test_a_rate_of_the_business_day_itself_counts_only_where_none_is_older():
    published = ((date(2026, 1, 2), "1.25"), (date(2026, 1, 5), "1.20"))

    def lookup(company: str, pair: str, on: date) -> str | None:
        found = [rate for day, rate in published if day <= on and pair == "EUR/USD"]
        return found[-1] if found else None

    exchange = Exchange(lookup)
    assert exchange.rate("acme", "USD", "EUR", DAY, DAY).base(1_000) == 800
    assert exchange.rate("acme", "USD", "EUR", DAY, date(2026, 1, 6)).base(1_200) == 1_000
    assert exchange.rate("acme", "USD", "EUR", date(2025, 12, 31), date(2026, 1, 2)).base(1_000) == 800
