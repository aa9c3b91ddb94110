"""The policy `contact`: who may be written to, when and about what, and when the gate is content with the bank data.

Invariant: what no profile allows is forbidden; a policy that does not fit this model lets nothing out.
"""

from datetime import time
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

NAME = "contact"
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ADDRESS = r"^[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$"


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sender(_Rules):
    """Who writes. `domain` carries the addresses of replies and bounces, one per message."""

    name: str = Field(min_length=1, max_length=120, pattern=r"^[^\r\n]*$")
    address: str = Field(pattern=ADDRESS)
    domain: str = Field(pattern=r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")
    postal: tuple[str, ...] = Field(default=(), max_length=8)
    phone: str = ""
    bank_details: tuple[str, ...] = Field(default=(), max_length=8)


class Window(_Rules):
    """Local time in which a message may leave, half-open."""

    start: time = time(8)
    end: time = time(20)
    days: frozenset[Day] = frozenset(DAYS[:5])

    @field_validator("end")
    @classmethod
    def _after_start(cls, end: time, info: Any) -> time:
        if "start" in info.data and end <= info.data["start"]:
            raise ValueError("end must be after start; a window does not span midnight")
        return end


class Cap(_Rules):
    """At most `n` notices to one account in `days` consecutive days, today included."""

    n: int = Field(default=3, ge=1, le=100)
    days: int = Field(default=7, ge=1, le=60)


class Profile(_Rules):
    """Rules for kinds of debtors in countries (`*` = all). No channel means that only a person may write."""

    name: str
    debtor_kinds: frozenset[str]
    countries: frozenset[str] = frozenset({"*"})
    channels: frozenset[str] = frozenset()
    window: Window = Window()
    holidays: bool = True
    needs_own_time_zone: bool = False
    cap: Cap = Cap()


class ContactPolicy(_Rules):
    """The whole policy. `minimum_minor` is the least claim per currency that a notice made smaller must still have.

    `unassigned`: a parked or quarantined thing without an account stops the whole company, or (`amount`) where its
    amount is known only the accounts that owe such an amount, give or take `unassigned_window` of it.
    """

    name: Literal["contact"] = "contact"
    version: str = ""
    sender: Sender
    no_bank_data: Literal["withhold", "accepted"] = "withhold"
    candidate_business_days: int = Field(default=10, ge=0, le=60)
    unassigned: Literal["company", "amount"] = "amount"
    unassigned_window: Decimal = Field(default=Decimal("0.05"), ge=0, le=1)
    harmless_without_account: frozenset[str] = frozenset({"invoice", "debit_memo"})
    minimum_minor: dict[str, int] = {}
    hard_stops: frozenset[str] = frozenset({"insolvent", "bankrupt", "deceased", "moratorium", "attorney", "closed"})
    objections: frozenset[str] = frozenset({"cease", "objection", "no_email"})
    hold_wait_days: int = Field(default=3, ge=0, le=30)
    retry_valid_days: int = Field(default=3, ge=1, le=30)
    profiles: tuple[Profile, ...] = Field(min_length=1, max_length=50)


def read_policy(content: dict[str, Any]) -> ContactPolicy | str:
    """The policy, or one sentence that says which field does not fit."""
    return _read(orjson.dumps(content, option=orjson.OPT_SORT_KEYS, default=str))


@lru_cache(maxsize=64)
def _read(content: bytes) -> ContactPolicy | str:
    try:
        return ContactPolicy.model_validate_json(content)
    except ValidationError as problem:
        first = problem.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
