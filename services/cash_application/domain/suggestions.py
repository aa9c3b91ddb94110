"""Suggestions: ways to apply a payment that a person may take. Told when they are new, withdrawn when they are gone."""

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

from services.cash_application.domain.books import Books
from services.cash_application.domain.cash import Receipt
from services.cash_application.domain.matching.certificate import chance_text
from services.cash_application.domain.matching.model import Decision
from services.cash_application.domain.rows import Suggested
from shared.events.ledger import PaymentSuggested, SuggestedItem, SuggestionWithdrawn


def suggest(books: Books, receipt: Receipt, decision: Decision) -> None:
    """Put the suggestions of a decision in the place of those that stood."""
    fresh = [
        Suggested(
            suggestion.rank,
            suggestion.account_id,
            in_order((UUID(item.item_id), item.amount_minor) for item in suggestion.items),
            suggestion.rule,
            suggestion.why,
            chance_text(suggestion.chance) if suggestion.chance is not None else "",
            receipt.certificate_id,
        )
        for suggestion in decision.suggestions
    ]
    _replace(books, receipt, fresh if receipt.open_minor else [])


def in_order(items: Iterable[tuple[UUID, int]]) -> tuple[tuple[UUID, int], ...]:
    """Items of a suggestion in the order in which they are kept and compared."""
    return tuple(sorted(items, key=lambda pair: str(pair[0])))


def withdraw(books: Books, receipt: Receipt) -> None:
    """Nothing is suggested any more: the cash is gone or a person decided."""
    _replace(books, receipt, [])


def _replace(books: Books, receipt: Receipt, fresh: list[Suggested]) -> None:
    standing = books.suggestions.get(receipt.payment_id, [])
    if [_content(row) for row in standing] == [_content(row) for row in fresh]:
        return
    by_rank = {row.rank: row for row in fresh}
    for row in standing:
        follower = by_rank.get(row.rank)
        if follower is None or follower.account_id != row.account_id:
            fact = SuggestionWithdrawn(
                company=receipt.company, payment_id=receipt.payment_id, account_id=row.account_id, rank=row.rank
            )
            books.tell(fact, receipt.payment_id)
    told = {_content(row) for row in standing}
    for row in fresh:
        if _content(row) not in told:
            books.tell(_fact(receipt, row), receipt.payment_id)
    books.suggestions[receipt.payment_id] = fresh
    books.written.suggestions[receipt.payment_id] = receipt
    books.touch_receipt(receipt)


def _content(row: Suggested) -> Suggested:
    return replace(row, certificate_id=None, why="")


def _fact(receipt: Receipt, row: Suggested) -> PaymentSuggested:
    return PaymentSuggested(
        company=receipt.company,
        payment_id=receipt.payment_id,
        account_id=row.account_id,
        amount_minor=receipt.open_minor,
        currency=receipt.currency,
        items=[SuggestedItem(item_id=item_id, amount_minor=minor) for item_id, minor in row.items],
        rank=row.rank,
        lambda_value=row.chance,
        rule=row.rule,
        certificate_id=row.certificate_id,
    )
