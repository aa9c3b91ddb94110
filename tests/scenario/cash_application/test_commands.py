"""What a person does with cash, and what is refused."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from services.cash_application.domain import commands
from services.cash_application.domain.cash import Place
from shared.errors import Rejected
from shared.events.ledger import (
    CashChanged,
    ItemChanged,
    ItemReopened,
    PaymentApplied,
    PaymentUnapplied,
    RefundPaid,
    RefundRequested,
)
from tests.scenario.cash_application.desk import (
    Desk,
    bank_debit,
    customer,
    invoice,
    item,
    only,
    pay_id,
    payment,
    types,
)

STRANGER = {"payer": "Somebody Else Ltd", "iban": "GB33BUKB20201555555555"}


async def unidentified(desk: Desk) -> None:
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000), invoice("INV-2026-00018", 4_000))
    await desk.feed(payment("p1", 12_345, "hello", **STRANGER))


def put(name: str, number: str, cash: int, **more) -> commands.Apply:
    line = commands.ApplyLine(item_id=item(number), cash_minor=cash, **more)
    return commands.Apply(payment_id=pay_id(name), currency="EUR", lines=[line])


async def test_identify_moves_the_cash_to_the_account(desk: Desk):
    """F3: UNID 300 becomes UNAPP 300."""
    await unidentified(desk)
    told = await desk.command(commands.Identify(payment_id=pay_id("p1"), account_id="C1"))
    assert types(told)[0] == "payment.identified"
    assert only(told, CashChanged).unapplied_minor == 12_345
    assert desk.reply["open_minor"] == 12_345
    with pytest.raises(Rejected, match="no cash of this payment is unidentified"):
        await desk.command(commands.Identify(payment_id=pay_id("p1"), account_id="C1"))


async def test_apply_puts_cash_on_items_and_keeps_the_rest_on_the_account(desk: Desk):
    await unidentified(desk)
    told = await desk.command(put("p1", "INV-2026-00017", 10_000))
    assert only(told, PaymentApplied).automatic is False
    assert only(told, CashChanged).unapplied_minor == 2_345
    assert (await desk.item("INV-2026-00017"))["remaining_minor"] == 0


async def test_apply_grants_discount_and_deduction(desk: Desk):
    await unidentified(desk)
    told = await desk.command(put("p1", "INV-2026-00017", 9_000, discount_minor=200, deduction_minor=800))
    assert "deduction.raised" in types(told)
    row = await desk.item("INV-2026-00017")
    assert (row["remaining_minor"], row["relief_discount"], row["relief_moved"]) == (0, 200, 800)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (put("p1", "INV-2026-00017", 10_001), "more_than_open"),
        (put("p1", "INV-2026-00099", 1), "item_unknown"),
        (put("p2", "INV-2026-00017", 1), "payment_unknown"),
        (put("p1", "INV-2026-00017", 1).model_copy(update={"currency": "USD"}), "currency_differs"),
        (commands.Identify(payment_id=pay_id("p1"), account_id="C9"), "account_unknown"),
        (commands.ApplySuggestion(payment_id=pay_id("p1"), rank=7), "suggestion_gone"),
        (commands.Unapply(payment_id=pay_id("p1"), posting_id=UUID(int=1), reason_code="OTHER"), "nothing_to_unapply"),
        (
            commands.PutOnAccount(payment_id=pay_id("p1"), account_id="C1", amount_minor=12_346, currency="EUR"),
            "more_than_available",
        ),
        (
            commands.RequestRefund(payment_id=pay_id("p1"), account_id="C1", amount_minor=1, currency="EUR"),
            "more_than_available",
        ),
    ],
)
async def test_what_does_not_fit_is_refused_with_a_stable_code(desk: Desk, command: commands.Command, code: str):
    await unidentified(desk)
    with pytest.raises(Rejected) as refused:
        await desk.command(command)
    assert refused.value.code == code


async def test_more_cash_than_the_payment_has_is_refused(desk: Desk):
    await unidentified(desk)
    lines = [
        commands.ApplyLine(item_id=item("INV-2026-00017"), cash_minor=10_000),
        commands.ApplyLine(item_id=item("INV-2026-00018"), cash_minor=4_000),
    ]
    with pytest.raises(Rejected) as refused:
        await desk.command(commands.Apply(payment_id=pay_id("p1"), currency="EUR", lines=lines))
    assert refused.value.code == "more_than_available"


async def test_unapply_restores_item_and_cash(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000))
    applied = only(await desk.feed(payment("p1", 10_000, "INV-2026-00017")), PaymentApplied)
    undo = commands.Unapply(payment_id=pay_id("p1"), posting_id=applied.posting_id, reason_code="MISAPPLIED")
    told = await desk.command(undo)
    assert types(told) == ["payment.unapplied", "cash.candidate", "item.reopened", "cash.changed"]
    assert only(told, PaymentUnapplied).reverses_posting_id == applied.posting_id
    assert only(told, ItemReopened).remaining_minor == 10_000
    with pytest.raises(Rejected, match="has no live application"):
        await desk.command(undo)


async def test_a_suggestion_is_taken_as_it_stands(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 123_457))
    told = await desk.feed(payment("p1", 123_457, "thanks", **STRANGER))
    assert "payment.suggested" in types(told)
    told = await desk.command(commands.ApplySuggestion(payment_id=pay_id("p1"), rank=1))
    assert types(told) == [
        "payment.applied",
        "suggestion.withdrawn",
        "cash.candidate_cleared",
        "item.settled",
    ]


async def test_cash_on_account_waits_no_more_and_is_no_candidate(desk: Desk):
    await unidentified(desk)
    await desk.command(commands.Identify(payment_id=pay_id("p1"), account_id="C1"))
    told = await desk.command(
        commands.PutOnAccount(payment_id=pay_id("p1"), account_id="C1", amount_minor=12_345, currency="EUR")
    )
    assert "cash.candidate_cleared" in types(told)
    changed = only(told, CashChanged)
    assert (changed.unapplied_minor, changed.on_account_minor) == (0, 12_345)
    told = await desk.command(put("p1", "INV-2026-00018", 4_000))
    assert only(told, CashChanged).on_account_minor == 8_345
    assert await desk.close() == []


async def test_a_refund_needs_another_person_with_a_limit_and_is_paid_by_the_bank(desk: Desk):
    """F14: approve, then pay."""
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000), payment("p1", 15_000, "INV-2026-00017"))
    ask = commands.RequestRefund(
        payment_id=pay_id("p1"), account_id="C1", amount_minor=5_000, currency="EUR", place=Place.UNAPPLIED
    )
    assert await desk.command(ask) == []
    refund_id = UUID(desk.reply["refund_id"])

    approve = commands.ApproveRefund(payment_id=pay_id("p1"), refund_id=refund_id, shown_amount_minor=5_000)
    for actor, limit, claims, code in (
        ("user:ana", 5_000, {}, "maker_is_checker"),
        ("user:bob", 5_000, {"on_behalf_of": "ana"}, "maker_is_checker"),
        ("user:bob", None, {}, "no_limit"),
        ("user:bob", 4_999, {}, "over_limit"),
        ("user:bob", 5_000, {"companies": frozenset({"other"})}, "foreign_company"),
        ("service:robot", 5_000, {"kind": "service"}, "not_a_person"),
    ):
        with pytest.raises(Rejected) as refused:
            await desk.command(approve, actor=actor, limits=limit_of(limit), **claims)
        assert refused.value.code == code
    told = await desk.command(approve, actor="user:bob", limits=limit_of(5_000))
    assert only(told, RefundRequested).amount_minor == 5_000
    assert only(told, CashChanged).unapplied_minor == 0
    assert (await desk.prove())["bank_accounts"]["EUR-1"]["refunds_payable_minor"] == 5_000
    told = await desk.feed(bank_debit("b1", 5_000, "refund"))
    assert only(told, RefundPaid).refund_id == refund_id
    assert (await desk.prove())["bank_accounts"]["EUR-1"]["refunds_payable_minor"] == 0


def limit_of(minor: int | None) -> dict[str, dict[str, int]]:
    return {"refund": {} if minor is None else {"EUR": minor}}


async def asked_refund(desk: Desk, name: str, account_id: str, amount: int, **claims: Any) -> commands.ApproveRefund:
    currency = "USD" if name.startswith("usd") else "EUR"
    ask = commands.RequestRefund(
        payment_id=pay_id(name), account_id=account_id, amount_minor=amount, currency=currency, place=Place.UNAPPLIED
    )
    await desk.command(ask, **claims)
    refund_id = UUID(desk.reply["refund_id"])
    return commands.ApproveRefund(payment_id=pay_id(name), refund_id=refund_id, shown_amount_minor=amount)


async def test_limits_count_all_accounts_and_currencies_of_the_customer(desk: Desk):
    """Rates: 1.25 USD are 1 EUR. Both accounts are of party P1, so both refunds are."""
    await desk.feed(customer(party_id="P1"), customer("C2", "Suedstern AG", "DE02120300000000202051", party_id="P1"))
    await desk.feed(
        payment("p1", 5_000, "x"),
        payment("usd1", 2_500, "y", currency="USD", bank_account="USD-1", payer="Suedstern AG",
                iban="DE02120300000000202051"),
    )  # fmt: skip
    first = await asked_refund(desk, "p1", "C1", 5_000)
    second = await asked_refund(desk, "usd1", "C2", 2_500)
    await desk.command(first, actor="user:bob", limits=limit_of(6_999))
    with pytest.raises(Rejected) as refused:
        await desk.command(second, actor="user:bob", limits=limit_of(6_999))
    assert refused.value.code == "over_limit"
    await desk.command(second, actor="user:bob", limits=limit_of(7_000))
    rows = await desk.rows("select customer_id, amount_minor, currency, outcome, decided_by from approval order by 2")
    assert [tuple(row) for row in rows] == [
        ("P1", 2_000, "EUR", "approved", "user:bob"),
        ("P1", 5_000, "EUR", "approved", "user:bob"),
    ]


async def test_nobody_decides_what_was_asked_for_on_their_behalf(desk: Desk):
    await desk.feed(customer(), payment("p1", 5_000, "x"))
    approve = await asked_refund(desk, "p1", "C1", 5_000, on_behalf_of="bob")
    with pytest.raises(Rejected) as refused:
        await desk.command(approve, actor="user:bob", limits=limit_of(5_000))
    assert refused.value.code == "maker_is_checker"
    with pytest.raises(asyncpg.CheckViolationError, match="approval_maker_is_not_checker"):
        await desk.rows("update approval set outcome = 'approved', decided_by = 'user:bob', decided_at = now()")


async def test_other_debits_keep_the_equation(desk: Desk):
    await desk.feed(bank_debit("b1", 700, "charge"), bank_debit("b2", 900, "other"), bank_debit("b3", 300, "refund"))
    terms = (await desk.prove())["bank_accounts"]["EUR-1"]
    assert (terms["bank_charges_minor"], terms["non_ar_minor"], terms["not_explained_minor"]) == (700, -900, 300)


async def test_rules_never_move_what_a_person_put_on_an_account(desk: Desk):
    await unidentified(desk)
    await desk.feed(customer("C2", "Suedstern AG", "DE02120300000000202051"))
    await desk.command(commands.Identify(payment_id=pay_id("p1"), account_id="C2"))
    await desk.feed(invoice("INV-2026-00020", 12_345))
    assert "payment.applied" not in types(await desk.close())
    assert (await desk.receipt("p1"))["account_id"] == "C2"


async def test_a_command_on_a_parked_account_is_refused(desk: Desk):
    await unidentified(desk)
    await desk.rows("insert into parked_key (key, company, account_id, error) values ('acme/C1', 'acme', 'C1', 'test')")
    for command in (commands.Identify(payment_id=pay_id("p1"), account_id="C1"), put("p1", "INV-2026-00017", 1)):
        with pytest.raises(Rejected) as refused:
            await desk.command(command)
        assert refused.value.code == "account_parked"


async def test_cash_for_a_parked_account_stays_unapplied_with_a_candidate(desk: Desk):
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000))
    await desk.rows("insert into parked_key (key, company, account_id, error) values ('acme/C1', 'acme', 'C1', 'test')")
    told = await desk.feed(payment("p1", 10_000, "INV-2026-00017"))
    assert types(told) == ["payment.identified", "cash.candidate", "cash.changed"]
    assert (await desk.receipt("p1"))["reason_code"] == "ACCOUNT_PARKED"
    await desk.rows("delete from parked_key")
    assert "payment.applied" in types(await desk.close())


async def test_a_partial_application_changes_the_item_once(desk: Desk):
    await unidentified(desk)
    told = await desk.command(put("p1", "INV-2026-00017", 1_000))
    changed = only(told, ItemChanged)
    assert (changed.version, changed.remaining_minor) == (2, 9_000)
