"""Approvals: one table that each deciding service puts into its own schema, and one pure rule.

Invariant: the maker never decides, neither as oneself nor for or through another; an approval counts only for the
very content that was shown (its hash); limits count what was approved for the same customer and reason in 30 days.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol
from uuid import UUID

import sqlalchemy as sa  # tidy: allow describes the table only, runs no statement

from shared.permissions import Kind

NOT_ALLOWED = frozenset({"not_a_person", "foreign_company", "maker_is_checker"})
WINDOW = timedelta(days=30)
Outcome = Literal["pending", "approved", "refused", "void"]
OUTCOMES: tuple[Outcome, ...] = ("pending", "approved", "refused", "void")


def approval_table(metadata: sa.MetaData) -> sa.Table:
    """Table `approval` for a service's tables.py. A decided row is never changed but to `void`.

    `amount_minor` is in the company's base currency (what limits are written in), NULL for what has no amount.
    `customer_id` is the legal person (party) over all its accounts, so that a split over accounts is seen.
    """
    return sa.Table(
        "approval",
        metadata,
        sa.Column("company", sa.Text, primary_key=True),
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("body_hash", sa.CHAR(64), nullable=False),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("reason_code", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger),
        sa.Column("currency", sa.CHAR(3)),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_on_behalf_of", sa.Text),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text, nullable=False, server_default="pending"),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided_on_behalf_of", sa.Text),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.Text),
        *_checks(),
        sa.Index("approval_window", "company", "customer_id", "reason_code", "decided_at"),
        sa.Index(
            "approval_pending",
            "company",
            "kind",
            "subject_id",
            unique=True,
            postgresql_where=sa.text("outcome = 'pending'"),
        ),
    )


def _checks() -> tuple[sa.CheckConstraint, ...]:
    outcomes = ", ".join(f"'{outcome}'" for outcome in OUTCOMES)
    return (
        sa.CheckConstraint(f"outcome in ({outcomes})", name="approval_outcome"),
        sa.CheckConstraint("body_hash ~ '^[0-9a-f]{64}$'", name="approval_body_hash"),
        sa.CheckConstraint("amount_minor >= 0", name="approval_amount"),
        sa.CheckConstraint("(amount_minor is null) = (currency is null)", name="approval_amount_with_currency"),
        sa.CheckConstraint("(decided_by is null) = (decided_at is null)", name="approval_decision_whole"),
        sa.CheckConstraint(
            "case outcome when 'pending' then decided_by is null when 'void' then true else decided_by is not null end",
            name="approval_decided",
        ),
        sa.CheckConstraint(
            "decided_by is null or (decided_by <> requested_by"
            " and decided_by is distinct from requested_on_behalf_of"
            " and decided_on_behalf_of is distinct from requested_by"
            " and (decided_on_behalf_of is null or decided_on_behalf_of is distinct from requested_on_behalf_of))",
            name="approval_maker_is_not_checker",
        ),
    )


class Approver(Protocol):
    """Who decides; `shared.auth.Principal` is one."""

    @property
    def actor(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def companies(self) -> frozenset[str]: ...
    @property
    def on_behalf_of(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """What a maker asks for. Persons are actors (`user:ana`), amounts minor units of the base currency."""

    id: UUID
    company: str
    kind: str
    subject_id: str
    body_hash: str
    customer_id: str
    reason_code: str
    amount_minor: int | None
    currency: str | None
    requested_by: str
    requested_at: datetime
    requested_on_behalf_of: str | None = None
    outcome: Outcome = "pending"


@dataclass(frozen=True, slots=True)
class PastApproval:
    """One earlier approved amount, of whatever kind, for the sum over 30 days."""

    id: UUID
    company: str
    customer_id: str
    reason_code: str
    amount_minor: int
    currency: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Approved:
    """The decision to write into the row. `cumulative_minor`: what the limit was compared with, None without amount."""

    decided_by: str
    decided_on_behalf_of: str | None
    decided_at: datetime
    cumulative_minor: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Why this person cannot approve this now; `code` is stable, the request stays pending."""

    code: str
    reason: str

    @property
    def status(self) -> int:
        """HTTP status: 403 when it lies in who asks, 409 when it lies in what is asked or in its amount."""
        return 403 if self.code in NOT_ALLOWED else 409


Limits = Mapping[str, Mapping[str, int]]


def decide(
    request: ApprovalRequest,
    approver: Approver,
    limits: Limits,
    history: Iterable[PastApproval],
    at: datetime,
    *,
    shown_hash: str,
    current_hash: str,
) -> Approved | Refused:
    """Whether `approver` may approve `request` at the instant `at`.

    `limits`: kind -> currency -> minor units, from the approver's token. `history`: what was approved for the same
    customer (more does no harm). `shown_hash` is what the approver saw, `current_hash` what the record is now; both
    must be what was requested. Raises ValueError for a history in another currency: amounts are base currency.
    """
    refusal = may_decide(request, approver) or _what(request, shown_hash, current_hash)
    if refusal:
        return refusal
    cumulative = cumulative_minor(request, history, at)
    refusal = _how_much(request, cumulative, limits)
    if refusal:
        return refusal
    behalf = as_actor(approver.on_behalf_of)
    return Approved(approver.actor, behalf, at, cumulative)


def cumulative_minor(request: ApprovalRequest, history: Iterable[PastApproval], at: datetime) -> int | None:
    """This amount with all that was approved for the same customer and reason in the 30 days up to `at`."""
    if request.amount_minor is None:
        return None
    same = [
        past
        for past in history
        if past.id != request.id
        and (past.company, past.customer_id, past.reason_code)
        == (request.company, request.customer_id, request.reason_code)
        and past.decided_at >= at - WINDOW
    ]
    foreign = {past.currency for past in same} - {request.currency}
    if foreign:
        raise ValueError(f"approval {request.id} is in {request.currency}, its history also in {sorted(foreign)}")
    return request.amount_minor + sum(past.amount_minor for past in same)


def may_decide(request: ApprovalRequest, approver: Approver) -> Refused | None:
    """Why this person can neither approve nor refuse the request, whatever it says; None if nothing is against it."""
    if approver.kind != "person":
        return Refused("not_a_person", f"{approver.actor} is a {approver.kind}; only a person can approve")
    if request.company not in approver.companies:
        return Refused("foreign_company", f"{approver.actor} does not act for company {request.company}")
    makers = {request.requested_by, as_actor(request.requested_on_behalf_of)} - {None}
    checkers = {approver.actor, as_actor(approver.on_behalf_of)} - {None}
    if both := makers & checkers:
        names = ", ".join(sorted(map(str, both)))
        return Refused("maker_is_checker", f"{names} asked for this and cannot also decide it; another person must")
    return None


def _what(request: ApprovalRequest, shown_hash: str, current_hash: str) -> Refused | None:
    if request.outcome != "pending":
        return Refused("already_decided", f"this request is {request.outcome}; ask for a new approval")
    if current_hash != request.body_hash:
        return Refused("changed_since_requested", "the record was changed after the request; ask for a new approval")
    if shown_hash != request.body_hash:
        return Refused("changed_since_shown", "what you saw is not what was requested; load it again and decide anew")
    return None


def _how_much(request: ApprovalRequest, cumulative: int | None, limits: Limits) -> Refused | None:
    if cumulative is None or request.currency is None:
        return None
    limit = limits.get(request.kind, {}).get(request.currency)
    if limit is None:
        return Refused("no_limit", f"you have no limit for {request.kind} in {request.currency}")
    if cumulative > limit:
        return Refused(
            "over_limit",
            f"{cumulative} minor units {request.currency} in 30 days for this customer and reason are over your"
            f" limit of {limit}; a person with a higher limit must decide",
        )
    return None


def as_actor(name: str | None) -> str | None:
    """Delegators stand in tokens without the prefix of actors, in rows with it, so that the constraint compares."""
    return name if name is None or ":" in name else f"user:{name}"
