"""Folding of ledger events, without a store: deltas always sum to the state, whatever arrives twice or late."""

import random
from datetime import date
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.reporting.projections import items, payments
from services.reporting.projections.rows import Known, Rows
from shared.events.ledger import ItemChanged, ItemOpened, PaymentIdentified, Relief, SplitPart
from shared.ids import derive
from tests.builders import event

DAY = date(2026, 3, 2)
ITEM, PAYMENT = derive("item", 1), derive("payment", 1)


def item_version(version: int, remaining: int, disputed: int) -> ItemOpened | ItemChanged:
    model = ItemOpened if version == 1 else ItemChanged
    return model(
        company="acme", item_id=ITEM, document_id=UUID(int=1), line="001", number="A", kind="invoice", side="debit",
        account_id="C-1", version=version, currency="EUR", original_minor=1000, remaining_minor=remaining,
        disputed_minor=disputed, relief=Relief(cash=1000 - remaining), document_on=DAY, due_on=DAY, accounted_on=DAY,
    )  # fmt: skip


def payment_version(version: int, applied: int, unapplied: int, account_id: str) -> PaymentIdentified:
    return PaymentIdentified(
        company="acme", payment_id=PAYMENT, payment_version=version, bank_account="EUR-1", currency="EUR",
        amount_minor=1000, accounted_on=DAY, account_id=account_id, rule="r",
        split=[SplitPart(account_id=account_id, applied_minor=applied, unapplied_minor=unapplied)],
        unidentified_minor=1000 - applied - unapplied,
    )  # fmt: skip


def disturbed(versions: list, seed: int) -> list:
    """The same events, some twice, some late."""
    chance = random.Random(seed)
    events = versions + [chance.choice(versions) for _ in range(3)]
    late = chance.randrange(len(events))
    events.append(events.pop(late))
    return events


item_states = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=8)


@given(item_states, st.integers(0, 1000), st.booleans())
def test_deltas_of_an_item_sum_to_its_last_state(states: list[tuple[int, int]], seed: int, one_batch: bool) -> None:
    versions = [item_version(n, *state) for n, state in enumerate(states, 1)]
    events = [event(v) for v in disturbed(versions, seed)]
    known, postings, last = Known(), {}, {}
    for batch in [events] if one_batch else [[e] for e in events]:
        rows = Rows()
        for one in batch:
            items.item(rows, known, one)
        for row in rows.of("item_posting"):
            assert (row["item_id"], row["version"]) not in postings
            postings[row["item_id"], row["version"]] = row
        last |= {row["item_id"]: row for row in rows.of("item")}
    assert last[ITEM]["version"] == len(states)
    assert sum(row["remaining_delta_minor"] for row in postings.values()) == states[-1][0]
    assert sum(row["disputed_delta_minor"] for row in postings.values()) == states[-1][1]
    assert sum(row["relief_delta"].get("cash", 0) for row in postings.values()) == 1000 - states[-1][0]


payment_states = st.lists(
    st.tuples(st.integers(0, 500), st.integers(0, 500), st.sampled_from(["C-1", "C-2"])), min_size=1, max_size=8
)


@given(payment_states, st.integers(0, 1000))
def test_deltas_of_a_payment_sum_to_its_last_split(states: list[tuple[int, int, str]], seed: int) -> None:
    versions = [payment_version(n, *state) for n, state in enumerate(states, 1)]
    known, sums, parts = Known(), {}, {}
    for one in disturbed(versions, seed):
        rows = Rows()
        payments.state(rows, known, event(one))
        for row in rows.of("payment_posting"):
            key = (row["place"], row["account_id"])
            sums[key] = sums.get(key, 0) + row["delta_minor"]
        parts |= {row["account_id"]: row for row in rows.of("payment_part")}
    expected = payments.places_of(versions[-1])
    assert {key: minor for key, minor in sums.items() if minor} == expected
    for account_id, row in parts.items():
        assert row["unapplied_minor"] == expected.get(("unapplied", account_id), 0)
