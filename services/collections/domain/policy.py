"""The activated policies `dunning` and `holds` as validated values.

Unknown fields are refused: a misspelt bound must not be a missing one. Amounts are minor units by currency.
"""

from datetime import time
from decimal import Decimal
from functools import lru_cache
from json import dumps, loads
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Minor = Annotated[int, Field(ge=0, le=10**15)]
ByCurrency = dict[Annotated[str, Field(pattern="^[A-Z]{3}$")], Minor]
Days = Annotated[int, Field(ge=0, le=3660)]
Role = Literal["payer", "approver", "executive", "disputes", "legal", "technical"]


class PolicyInvalid(ValueError):
    """A policy has a value that is not allowed; the message names the field and what it may be."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Level(_Strict):
    """A step of the ladder, reached when an item is at least `days_past_due` days late."""

    level: int = Field(ge=1, le=20)
    days_past_due: int = Field(ge=1, le=3660)
    kind: Literal["reminder", "hold_warning", "escalation"] = "reminder"
    template: str = Field(min_length=1, max_length=60)
    channel: Literal["email", "letter"] = "email"


class Window(_Strict):
    """Local times between which a notice may leave; `zone` says whose clock counts."""

    start: time = time(9)
    end: time = time(17)
    zone: Literal["debtor", "company"] = "debtor"

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> "Window":
        if self.start >= self.end:
            raise ValueError("window.start must be before window.end")
        return self


class PromiseRules(_Strict):
    """Promises to pay; `tolerance` is the share of the amount that may be missing."""

    grace_days: Days = 3
    tolerance: Decimal = Field(default=Decimal("0.005"), ge=0, lt=1)
    per_debt_max: int = Field(default=2, ge=1, le=20)


class DisputeRules(_Strict):
    decide_days: Days = 15
    credit_expected_days: Days = 20


class EscalationRules(_Strict):
    after_days: Days = 14
    to: str = Field(default="manager", min_length=1, max_length=60)


class DunningPolicy(_Strict):
    """The ladder and everything that decides whether, to whom and when a notice is asked for."""

    name: Literal["dunning"] = "dunning"
    version: str = ""
    levels: tuple[Level, ...] = Field(min_length=1, max_length=20)
    spacing_days: Days = 7
    again_after_withheld_days: Days = 2
    minimum_minor: ByCurrency = {}
    credit_ignored_below_minor: ByCurrency = {}
    item_kinds: frozenset[Literal["invoice", "debit_memo", "deduction", "charge"]] = frozenset(
        {"invoice", "debit_memo", "charge"}
    )
    account_statuses: frozenset[str] = frozenset({"active"})
    debtor_kinds: frozenset[str] = frozenset({"organisation", "public_body"})
    contact_roles: tuple[Role, ...] = ("payer", "approver", "executive", "disputes", "legal")
    window: Window = Window()
    expires_after_days: Days = 3
    no_bank_data: Literal["refused", "accepted"] = "refused"
    promise: PromiseRules = PromiseRules()
    dispute: DisputeRules = DisputeRules()
    escalation: EscalationRules = EscalationRules()

    @model_validator(mode="after")
    def _rises(self) -> "DunningPolicy":
        if [step.level for step in self.levels] != list(range(1, len(self.levels) + 1)):
            raise ValueError("levels must be numbered 1, 2, 3, … in order")
        days = [step.days_past_due for step in self.levels]
        if days != sorted(set(days)):
            raise ValueError("levels must rise in days_past_due")
        return self

    @property
    def last_level(self) -> int:
        return len(self.levels)

    def level_at(self, days_past_due: int) -> int:
        """Highest level whose days are reached, bound inclusive; 0 before the first."""
        return sum(1 for step in self.levels if step.days_past_due <= days_past_due)

    def step(self, level: int) -> Level:
        return self.levels[level - 1]


class HoldPolicy(_Strict):
    """When a hold is proposed, renewed and lifted. A currency without a threshold never leads to a hold."""

    name: Literal["holds"] = "holds"
    version: str = ""
    kind: Literal["access", "order"] = "access"
    grade: Literal["warn", "restrict", "deny"] = "restrict"
    threshold_minor: ByCurrency
    days_past_due_min: Days = 35
    cure_days: Days = 5
    warning_valid_days: Days = 180
    lease_s: int = Field(ge=3600, le=90 * 86_400)
    renew_before_s: int = Field(ge=0, le=90 * 86_400)
    proposed_again_after_days: Days = 14
    candidate_days: Days = 10
    auto_hold: bool = False

    @model_validator(mode="after")
    def _renewed_in_time(self) -> "HoldPolicy":
        if self.renew_before_s >= self.lease_s:
            raise ValueError("renew_before_s must be less than lease_s")
        return self


MODELS: dict[str, type[DunningPolicy] | type[HoldPolicy]] = {"dunning": DunningPolicy, "holds": HoldPolicy}
_P = TypeVar("_P", DunningPolicy, HoldPolicy)


def read_policy(model: type[_P], content: dict[str, Any]) -> _P:
    """Policy of an activated content. Raises PolicyInvalid with the field and the reason."""
    return _read(model, dumps(content, sort_keys=True))


@lru_cache(maxsize=256)
def _read(model: type[_P], text: str) -> _P:
    try:
        return model.model_validate(loads(text))
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "file"
        name = model.model_fields["name"].default
        raise PolicyInvalid(f"policy {name}: {place}: {first['msg']}") from problem
