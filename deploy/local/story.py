"""Which events of the log tell the story of one payment, document, item, notice or submission, and in what order.

Pure: events in, a Story out. An event belongs to it when it names one of the ids that the story is about, or when it
followed from one that does; markers and what a whole file brought beside it do not.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from shared.events.codec import Event, is_marker
from shared.events.collections import HoldState, NoticeRequested
from shared.events.invoices import Document
from shared.events.ledger import ItemState, PaymentState
from shared.events.notifications import EffectState, NoticeState
from shared.events.payments import BankCredit, PaymentReturned
from shared.ids import parse

ORDER = {"ingest": 0, "cash_application": 1, "collections": 2, "notifications": 3}
FOLLOWED_MAX, HOPS_MAX = 500, 12


class NotFound(Exception):
    """Nothing in the log goes by what was asked; the text says what could be asked."""


@dataclass(slots=True)
class Story:
    """`about`: what kind of thing was asked for; `ids`: whom it is about; `events`: in the order in which they came;
    `numbers`: how people call items and documents; `beside`: of a submission, how many facts of each type it brought.
    """

    about: str
    ids: set[UUID]
    events: list[Event] = field(default_factory=list)
    numbers: dict[UUID, str] = field(default_factory=dict)
    beside: dict[tuple[str, str], int] = field(default_factory=dict)


class Told:
    """The log with what is needed to follow ids and causes through it."""

    def __init__(self, events: Iterable[Event], written: Mapping[UUID, int]) -> None:
        self.written = written
        self.events = [e for e in events if e.data is not None and not is_marker(e.type)]
        self.naming: dict[UUID, list[int]] = defaultdict(list)
        self.followers: dict[UUID, list[int]] = defaultdict(list)
        self.by_id: dict[UUID, int] = {}
        for place, event in enumerate(self.events):
            self.by_id[event.envelope.id] = place
            self.followers[event.envelope.causation_id].append(place)
            for named in set(ids_in(event.data)):
                self.naming[named].append(place)

    def of(self, model: type) -> Iterator[tuple[int, Any]]:
        return ((place, e.data) for place, e in enumerate(self.events) if isinstance(e.data, model))


def ids_in(value: Any) -> Iterator[UUID]:
    """Every id anywhere in a payload."""
    if isinstance(value, UUID):
        yield value
    elif isinstance(value, BaseModel):
        for name in _may_hold_ids(type(value)):
            yield from ids_in(getattr(value, name))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from ids_in(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from ids_in(each)


@cache
def _may_hold_ids(model: type[BaseModel]) -> tuple[str, ...]:
    """Fields of ids, of parts of ours and of anything; texts, numbers and dates are not looked into."""
    shapes = {name: repr(info.annotation) for name, info in model.model_fields.items()}
    return tuple(name for name, shape in shapes.items() if any(w in shape for w in ("UUID", "shared.", "Any")))


def story_of(events: Sequence[Event], asked: str, written: Mapping[UUID, int] | None = None) -> Story:
    """The story of `asked`: an id, prefixed or plain, or the number of a document. Raises NotFound.

    `written`: by event id the instant at which the bus took it; it orders what has the same business time.
    """
    log = Told(events, written or {})
    story = _begun(log, asked.strip())
    _name(log, story)
    if story.about == "submission":
        places = _of_submission(log, story)
    else:
        places = _naming(log, story)
        _follow(log, story, places)
        _join_ends(log, places)
    story.events = [log.events[place] for place in sorted(places, key=lambda p: _rank(log, p, places))]
    return story


def _begun(log: Told, asked: str) -> Story:
    try:
        wanted = parse(asked)
    except ValueError:
        return _by_number(log, asked)
    for _, data in log.of(Document):
        if data.document_id == wanted:
            return _document(log, {wanted})
    for _, data in log.of(ItemState):
        if data.item_id == wanted:
            return Story("item", {wanted})
    kinds = (("payment", (BankCredit, PaymentState, PaymentReturned)), ("notice", (NoticeRequested, NoticeState)))
    for about, models in kinds:
        names = ("payment_id", "return_id") if about == "payment" else ("notice_id",)
        if any(wanted == getattr(data, name, None) for m in models for _, data in log.of(m) for name in names):
            return Story(about, {wanted})
    if any(e.envelope.correlation_id == wanted and e.envelope.source == "ingest" for e in log.events):
        return Story("submission", {wanted})
    if wanted in log.naming:
        return Story("thing", {wanted})
    raise NotFound(f"nothing in the log goes by {asked}: ask by the id of a payment, document, item, notice or "
                   "submission, as the pages and the APIs show it, or by the number of a document")  # fmt: skip


def _by_number(log: Told, number: str) -> Story:
    found = {data.document_id for _, data in log.of(Document) if data.number.lower() == number.lower()}
    if not found:
        raise NotFound(f"no document in the log has the number {number!r}, and it is no id either; look it up on the "
                       "page of the account")  # fmt: skip
    return _document(log, found)


def _document(log: Told, documents: set[UUID]) -> Story:
    items = {data.item_id for _, data in log.of(ItemState) if data.document_id in documents}
    return Story("document", documents | items)


def _name(log: Told, story: Story) -> None:
    for _, data in log.of(ItemState):
        story.numbers.setdefault(data.item_id, data.number)
    for _, data in log.of(Document):
        story.numbers.setdefault(data.document_id, data.number)


def _of_submission(log: Told, story: Story) -> set[int]:
    """What a file brought, and how much of what followed from it in each service."""
    (wanted,) = story.ids
    came = [p for p, e in enumerate(log.events) if e.envelope.correlation_id == wanted]
    for place in came:
        event = log.events[place]
        story.beside[event.envelope.source, event.type] = story.beside.get((event.envelope.source, event.type), 0) + 1
    return set([p for p in came if log.events[p].envelope.source == "ingest"][:FOLLOWED_MAX])


def _naming(log: Told, story: Story) -> set[int]:
    """Events that name an id of the story; with the document of an item, and the payments that were put on it."""
    places = {place for wanted in story.ids for place in log.naming[wanted]}
    if story.about == "item":
        documents = {d.document_id for _, d in log.of(ItemState) if d.item_id in story.ids}
        places |= {place for place, d in log.of(Document) if d.document_id in documents}
    if story.about in ("item", "document"):
        payments = {d.payment_id for p in places if isinstance(d := log.events[p].data, PaymentState)}
        places |= {place for place, d in log.of(BankCredit) if d.payment_id in payments}
    return places


def _follow(log: Told, story: Story, places: set[int]) -> None:
    """Add what followed; not from a payment that the story of a document only mentions: its other ends are not told."""
    mentioned = story.about in ("item", "document")
    edge = {p for p in places if not (mentioned and isinstance(log.events[p].data, BankCredit))}
    for _ in range(HOPS_MAX):
        found = {f for p in edge for f in log.followers[log.events[p].envelope.id]} - places
        if not found or len(places) > FOLLOWED_MAX:
            return
        places |= found
        edge = found


def _join_ends(log: Told, places: set[int]) -> None:
    """What became of notices and holds that followed: steps that are in no log stand between them and their cause."""
    for place in list(places):
        data = log.events[place].data
        if isinstance(data, NoticeRequested):
            places |= {p for p in log.naming[data.notice_id] if isinstance(log.events[p].data, NoticeState)}
        elif isinstance(data, HoldState):
            ends = ((p, log.events[p].data) for p in log.naming[data.hold_id])
            places |= {p for p, e in ends if isinstance(e, EffectState) and e.version == data.version}


def _rank(log: Told, place: int, places: set[int], hops: int = 0) -> tuple[Any, ...]:
    """By business time, then as it was written, then from the door to the door out; a cause before its effect."""
    event = log.events[place]
    written = log.written.get(event.envelope.id, 0)
    key = (event.envelope.time, written, ORDER.get(event.envelope.source, len(ORDER)), 0, place)
    cause = log.by_id.get(event.envelope.causation_id)
    if cause is None or cause not in places or cause == place or hops >= HOPS_MAX:
        return key
    before = _rank(log, cause, places, hops + 1)
    return key if before < key else (*before[:3], before[3] + 1, place)
