"""Disputes of collections on items: the disputed part is known here so that rules leave it alone.

Effective by version: an older state of a dispute never overwrites a newer one.
"""

from services.cash_application.domain.books import Books
from shared.events.collections import DisputeState


class ItemUnknown(ValueError):
    """A dispute names an item that is not in the books."""


def dispute(books: Books, fact: DisputeState) -> None:
    """Set the part of the item that this dispute holds; a resolved dispute holds nothing."""
    item = books.items.get(fact.item_id)
    if item is None:
        raise ItemUnknown(f"dispute {fact.dispute_id} names item {fact.item_id}, which is not in the books")
    _, _, _, version, standing = books.disputes.get(fact.dispute_id, ("", None, None, 0, 0))
    if fact.version <= version:
        return
    held = fact.disputed_minor if fact.status == "open" else 0
    row = (fact.company, fact.dispute_id, fact.item_id, fact.version, held)
    books.disputes[fact.dispute_id] = row
    books.written.disputes[fact.dispute_id] = row
    if held != standing:
        books.touch_item(item)
        item.disputed_minor += held - standing
