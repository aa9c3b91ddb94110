"""Who may do what: roles, actions and incompatible duties as data, with pure functions over them.

Invariant: what is not written in ROLE_ACTIONS is forbidden, and no role holds two duties that conflict
(rules of internal control: maker and checker, cash and adjustments, administration and business).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

Kind = Literal["person", "feed", "service"]

INGEST_SUBMIT = "ingest.submit"
INGEST_READ = "ingest.read"
INGEST_CONFIGURE = "ingest.configure"
INGEST_APPROVE_POLICY = "ingest.approve_policy"
INGEST_RELEASE = "ingest.release"
INGEST_CLOCK = "ingest.clock"
CASH_READ = "cash.read"
CASH_APPLY = "cash.apply"
CASH_APPROVE_ADJUSTMENT = "cash.approve_adjustment"
CASH_CLOSE_PERIOD = "cash.close_period"
COLLECTIONS_READ = "collections.read"
COLLECTIONS_ACT = "collections.act"
COLLECTIONS_RESOLVE_DISPUTE = "collections.resolve_dispute"
COLLECTIONS_APPROVE_HOLD = "collections.approve_hold"
NOTIFICATIONS_READ = "notifications.read"
NOTIFICATIONS_RESEND = "notifications.resend"
REPORTING_READ = "reporting.read"
OPERATE = "operate"
RUNTIME_READ = "runtime.read"
RUNTIME_APPROVE_SKIP = "runtime.approve_skip"
METRICS_READ = "metrics.read"

FEEDER, CLOCK, SCRAPER = "feeder", "clock", "scraper"
ANALYST, COLLECTOR, SUPERVISOR = "analyst", "collector", "supervisor"
CREDIT_MANAGER, CONTROLLER, AUDITOR, OPERATOR = "credit_manager", "controller", "auditor", "operator"

BUSINESS_READS = frozenset({INGEST_READ, CASH_READ, COLLECTIONS_READ, NOTIFICATIONS_READ, REPORTING_READ, RUNTIME_READ})

ROLE_ACTIONS: dict[str, frozenset[str]] = {
    FEEDER: frozenset({INGEST_SUBMIT, INGEST_READ, RUNTIME_READ}),
    CLOCK: frozenset({INGEST_CLOCK, RUNTIME_READ}),
    SCRAPER: frozenset({METRICS_READ}),
    ANALYST: BUSINESS_READS | {CASH_APPLY},
    COLLECTOR: BUSINESS_READS | {COLLECTIONS_ACT},
    SUPERVISOR: BUSINESS_READS
    | {
        INGEST_RELEASE,
        CASH_APPROVE_ADJUSTMENT,
        COLLECTIONS_RESOLVE_DISPUTE,
        COLLECTIONS_APPROVE_HOLD,
        NOTIFICATIONS_RESEND,
    },
    CREDIT_MANAGER: BUSINESS_READS | {CASH_APPROVE_ADJUSTMENT, COLLECTIONS_APPROVE_HOLD},
    CONTROLLER: BUSINESS_READS
    | {
        INGEST_APPROVE_POLICY,
        INGEST_RELEASE,
        CASH_APPROVE_ADJUSTMENT,
        CASH_CLOSE_PERIOD,
        COLLECTIONS_APPROVE_HOLD,
        RUNTIME_APPROVE_SKIP,
    },
    AUDITOR: BUSINESS_READS,
    OPERATOR: frozenset({INGEST_READ, INGEST_CONFIGURE, OPERATE, RUNTIME_READ, METRICS_READ}),
}
ROLES = frozenset(ROLE_ACTIONS)
ACTIONS = frozenset().union(*ROLE_ACTIONS.values())

APPROVALS = frozenset({INGEST_APPROVE_POLICY, CASH_APPROVE_ADJUSTMENT, COLLECTIONS_APPROVE_HOLD, RUNTIME_APPROVE_SKIP})
"""Actions that decide over what another person asked for: for persons only, never for a key or a service."""

DUTY_OF_ACTION: dict[str, str] = {
    INGEST_SUBMIT: "feed",
    INGEST_CLOCK: "feed",
    INGEST_CONFIGURE: "administer",
    OPERATE: "administer",
    INGEST_APPROVE_POLICY: "approve_policy",
    INGEST_RELEASE: "reconcile_bank",
    CASH_APPLY: "apply_cash",
    CASH_APPROVE_ADJUSTMENT: "approve_adjustment",
    CASH_CLOSE_PERIOD: "close_period",
    COLLECTIONS_ACT: "collect",
    COLLECTIONS_RESOLVE_DISPUTE: "resolve_dispute",
    COLLECTIONS_APPROVE_HOLD: "approve_hold",
    NOTIFICATIONS_RESEND: "resend_notice",
    RUNTIME_APPROVE_SKIP: "approve_skip",
}
"""Reading carries no duty. Every other action carries exactly one (a test counts them)."""

BUSINESS_DUTIES = frozenset(
    {
        "master_data",
        "post_cash",
        "apply_cash",
        "propose_adjustment",
        "approve_adjustment",
        "approve_credit_limit",
        "sell",
        "invoice",
        "refund",
        "collect",
        "resolve_dispute",
        "reconcile_bank",
        "close_period",
        "approve_policy",
        "approve_hold",
        "resend_notice",
        "approve_skip",
    }
)

CONFLICTS: dict[str, frozenset[str]] = {
    "master_data": frozenset(
        {"post_cash", "propose_adjustment", "approve_adjustment", "invoice", "refund", "approve_credit_limit"}
    ),
    "post_cash": frozenset(
        {"propose_adjustment", "approve_adjustment", "refund", "reconcile_bank", "invoice", "master_data"}
    ),
    "apply_cash": frozenset({"approve_adjustment", "reconcile_bank"}),
    "propose_adjustment": frozenset({"approve_adjustment", "post_cash"}),
    "approve_credit_limit": frozenset({"sell", "master_data"}),
    "collect": frozenset({"post_cash", "approve_adjustment", "master_data", "resolve_dispute"}),
    "close_period": frozenset({"post_cash", "apply_cash", "propose_adjustment"}),
    "administer": BUSINESS_DUTIES,
    "feed": BUSINESS_DUTIES | {"administer"},
}
"""Duty -> duties that the same person may not hold. Read in both directions."""

APPROVAL_LIMIT_MINOR: dict[str, int] = {SUPERVISOR: 1_000_00, CREDIT_MANAGER: 10_000_00, CONTROLLER: 100_000_00}
"""Sample limits in minor units of the base currency; what binds is the `limits` claim of the person's token."""


@dataclass(frozen=True, slots=True)
class DutyConflict:
    """Two roles (or one and the same) that bring together duties which exclude each other."""

    role: str
    other_role: str
    duty: str
    other_duty: str

    def __str__(self) -> str:
        return f"{self.role} ({self.duty}) with {self.other_role} ({self.other_duty})"


class Holder(Protocol):
    """What the rules need to know of a caller; `shared.auth.Principal` is one."""

    @property
    def kind(self) -> Kind: ...
    @property
    def companies(self) -> frozenset[str]: ...
    @property
    def roles(self) -> frozenset[str]: ...


def actions_of(roles: Collection[str]) -> frozenset[str]:
    """Union of the actions of the known roles; unknown roles bring nothing."""
    return frozenset().union(*(ROLE_ACTIONS.get(role, frozenset()) for role in roles))


def permitted(holder: Holder, action: str) -> bool:
    """Whether the roles allow `action` in some company. Raises KeyError for an action that is in no table."""
    if action not in ACTIONS:
        raise KeyError(f"action {action!r} is not in shared/permissions.py; add it to ROLE_ACTIONS and DUTY_OF_ACTION")
    if action in APPROVALS and holder.kind != "person":
        return False
    return action in actions_of(holder.roles)


def allowed(holder: Holder, action: str, company: str) -> bool:
    """Whether `holder` may do `action` for `company`."""
    return company in holder.companies and permitted(holder, action)


def excludes(duty: str, other: str) -> bool:
    """Whether one person may not hold both duties; symmetric."""
    return other in CONFLICTS.get(duty, frozenset()) or duty in CONFLICTS.get(other, frozenset())


def duty_conflicts(roles: Iterable[str]) -> tuple[DutyConflict, ...]:
    """Every conflict among the duties of `roles`, in a fixed order; empty means that one person may hold them all."""
    return _duty_conflicts(frozenset(roles))


@lru_cache(maxsize=1024)
def _duty_conflicts(roles: frozenset[str]) -> tuple[DutyConflict, ...]:
    held = sorted({(role, DUTY_OF_ACTION[a]) for role in roles for a in actions_of([role]) if a in DUTY_OF_ACTION})
    return tuple(
        DutyConflict(role, other_role, duty, other_duty)
        for index, (role, duty) in enumerate(held)
        for other_role, other_duty in held[index + 1 :]
        if excludes(duty, other_duty)
    )
