"""Disputes: what customers object to, and how the company decides.

A disputed invoice is not paid while the dispute is open. A credited one is paid
down to the credit memo, a rejected or withdrawn one in full.
"""

from dataclasses import dataclass
from datetime import date
from random import Random

from sample.adjustments import credit
from sample.business_days import Timeline, step
from sample.documents import Document
from sample.words import DISPUTE_REASONS

OUTCOMES = {"credited": 45, "rejected": 30, "partly_credited": 15, "withdrawn": 10}


@dataclass
class Dispute:
    """`resolved_on` is None when the run ends before the decision."""

    ref: str
    document: Document
    amount_minor: int
    reason_code: str
    opened_on: date
    resolved_on: date | None
    outcome: str
    credited_minor: int
    memo: Document | None = None


def _opening_days(document: Document, timeline: Timeline) -> list[date]:
    item = document.items[0]
    return [
        day
        for day in timeline.days[:-1]
        if day > document.fed_on and (item.pay_on is None or step(day, 1) < item.pay_on)
    ]


def _may_be_disputed(document: Document, timeline: Timeline) -> bool:
    return (
        document.kind == "invoice"
        and document.is_single
        and document.discount is None
        and not document.items[0].script
        and document.customer.habit.persona in ("punctual", "late", "heavy")
        and not document.customer.habit.direct_debit
        and document.total_minor >= 30_000
        and bool(_opening_days(document, timeline))
    )


def _open(rng: Random, document: Document, ordinal: int, timeline: Timeline) -> Dispute:
    opened_on = rng.choice(_opening_days(document, timeline))
    share = 100 if rng.randrange(3) == 0 else rng.randrange(5, 60)
    amount = document.total_minor * share // 100
    outcome = rng.choices(list(OUTCOMES), weights=list(OUTCOMES.values()))[0]
    pace = (4, 18) if len(timeline.days) >= 30 else (1, 2)
    resolved_on = step(opened_on, rng.randrange(*pace))
    credited = {"credited": amount, "partly_credited": amount // 2}.get(outcome, 0)
    ref, reason = f"DSP-{ordinal:04d}", rng.choice(list(DISPUTE_REASONS))
    dispute = Dispute(ref, document, amount, reason, opened_on, resolved_on, outcome, credited)
    if resolved_on > timeline.last:
        dispute.resolved_on, dispute.outcome, dispute.credited_minor = None, "open", 0
    return dispute


def make_disputes(rng: Random, documents: list[Document], timeline: Timeline, count: int) -> list[Dispute]:
    """Open `count` disputes; credit memos of decided ones come in the feed of the day of the decision."""
    pool = [document for document in documents if _may_be_disputed(document, timeline)]
    rng.shuffle(pool)
    disputes = []
    for ordinal, document in enumerate(pool[:count], start=1):
        dispute = _open(rng, document, ordinal, timeline)
        item = document.items[0]
        item.script, item.pay_on = "disputed", None
        if dispute.resolved_on is not None:
            item.pay_on = step(dispute.resolved_on, rng.randrange(2, 10))
            if dispute.credited_minor:
                dispute.memo = credit(document, dispute.credited_minor, dispute.resolved_on, dispute.reason_code)
        disputes.append(dispute)
    return sorted(disputes, key=lambda one: (one.opened_on, one.ref))
