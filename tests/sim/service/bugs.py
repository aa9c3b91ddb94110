"""Planted bugs: each is switched on for a run and must be caught. Nothing here is reachable in production."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

Patches = list[Any]


def gate_ignores_candidates() -> Patches:
    """Cash that may be the debtor's does not stop a notice."""
    from services.notifications.domain import gate

    real = gate.account_obstacles

    def blind(*arguments: Any) -> list[Any]:
        return [reason for reason in real(*arguments) if reason.code != "CASH_CANDIDATE"]

    return [patch.object(gate, "account_obstacles", blind)]


def older_hold_version_after_newer() -> Patches:
    """A version that was not confirmed goes on being tried when a newer one has come."""
    from services.notifications.domain import holds

    real = holds.new_effect

    def stubborn(data: Any, earlier: Any, *more: Any) -> Any:
        before = [(row, row.status) for row in earlier]
        made = real(data, [row for row, _ in before], *more)
        for row, status in before:
            row.status = status
        return made

    from services.notifications import handlers

    return [patch.object(handlers.holds, "new_effect", stubborn)]


def mail_again_after_unknown() -> Patches:
    """A mail whose answer was lost is sent again."""
    from services.notifications.domain import notices

    real = notices.delivered

    def eager(row: Any, told: Any, now: Any) -> Any:
        facts = real(row, told, now)
        if told.result == "unknown":
            row.status, row.next_try_at = "requested", told.at + timedelta(seconds=60)
        return facts

    return [patch.object(notices, "delivered", eager)]


def cent_lost_in_return() -> Patches:
    """A return takes one cent less from the payment than the bank took."""
    from services.cash_application.domain import returns

    real = returns.take_back

    def careless(books: Any, receipt: Any, taken: Any) -> int:
        return real(books, receipt, replace(taken, amount_minor=taken.amount_minor - 1))

    return [patch.object(returns, "take_back", careless)]


def projection_misses_duplicate() -> Patches:
    """Reporting does not remember what it took, and adds a payment to what it knows of it."""
    from services.reporting.store import batches, upserts
    from shared.runtime import transaction

    real = transaction.fresh_among

    async def all_of(db: Any, events: Any) -> Any:
        fresh = await real(db, events)
        reporting = await db.fetchval("select to_regclass('day_snapshot') is not null")
        return list(events) if reporting else fresh

    whole, added = "do nothing", "do update set amount_minor = receipt.amount_minor + excluded.amount_minor"
    assert whole in upserts.RECEIPTS.sql, "the statement of receipts reads otherwise now; mend the bug"
    adding = replace(upserts.RECEIPTS, sql=upserts.RECEIPTS.sql.replace(whole, added))
    order = tuple(adding if each is upserts.RECEIPTS else each for each in upserts.IN_ORDER)
    return [patch.object(transaction, "fresh_among", all_of), patch.object(batches, "IN_ORDER", order)]


def promise_judged_before_marker() -> Patches:
    """A promise is judged when its day is over, whether the bank data reach it or not."""
    from services.collections.domain import promises

    real = promises.judge

    def hasty(case: Any, on: Any, complete_through_on: Any) -> Any:
        return real(case, on, on)

    from services.collections.domain import day

    return [patch.object(day.promises, "judge", hasty)]


def mail_before_it_is_announced() -> Patches:
    """Mail leaves without waiting until the bus has taken `notice.sending`."""
    from services.notifications.channels.mail import MailDispatcher

    async def at_once(*_: Any) -> bool:
        return True

    return [patch.object(MailDispatcher, "_acknowledged", at_once)]


def ledger_books_payment_twice() -> Patches:
    """Neither the inbox nor its own key keeps cash application from booking a payment that comes a second time."""
    from services.cash_application import handlers
    from shared.runtime import transaction

    real, booked = transaction.fresh_among, handlers.receive

    async def all_of(db: Any, events: Any) -> Any:
        fresh = await real(db, events)
        return list(events) if await db.fetchval("select to_regclass('unbooked_cash') is not null") else fresh

    def forgetful(books: Any, fact: Any, policy: Any) -> None:
        books.receipts.pop(fact.payment_id, None)
        booked(books, fact, policy)

    return [patch.object(transaction, "fresh_among", all_of), patch.object(handlers, "receive", forgetful)]


def locks_not_sorted() -> Patches:
    """Cash application locks account by account, in an order that is another in each process, as that of a set is."""
    from services.cash_application.store import loading

    async def one_by_one(db: Any, books: Any, needs: Any, found: Any) -> None:
        if needs.owners:
            await db.execute(loading.sql.NEW_ACCOUNTS, *loading._pairs(sorted(needs.owners)))
        order = sorted(found.lock, reverse=db.get_settings().application_name.endswith("1"))
        for company, account_id in order:
            for row in await db.fetch(loading.sql.LOCK_ACCOUNTS, [company], [account_id]):
                account = loading.mapping.account_of(row)
                books.accounts[company, account_id] = account
                books.locked.add((company, account_id))
        for key, targets in found.pays_for.items():
            if key in books.accounts:
                books.accounts[key].pays_for = tuple(sorted(targets))

    return [patch.object(loading, "_lock", one_by_one)]


BUGS: dict[str, Callable[[], Patches]] = {
    "locks_not_sorted": locks_not_sorted,
    "gate_ignores_candidates": gate_ignores_candidates,
    "older_hold_version_after_newer": older_hold_version_after_newer,
    "mail_again_after_unknown": mail_again_after_unknown,
    "cent_lost_in_return": cent_lost_in_return,
    "projection_misses_duplicate": projection_misses_duplicate,
    "promise_judged_before_marker": promise_judged_before_marker,
    "mail_before_it_is_announced": mail_before_it_is_announced,
    "ledger_books_payment_twice": ledger_books_payment_twice,
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The bug is there inside; an empty name plants none."""
    patches = BUGS[name]() if name else []
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()
