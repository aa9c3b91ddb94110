"""What the access system knows of holds: the highest version of each, and when its lease ends. Pure.

Invariant: an older version never overrides a newer one, a repeated version never lengthens a lease, and a hold whose
lease ended restricts nobody. All instants are seconds of one monotonic clock and are passed in.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

LEASE_S_MAX = 90 * 86_400
TARGETS_MAX = 100
HOLDS_MAX = 100_000

Id = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")]
Standing = Literal["ordered", "renewed", "lifted", "ended"]


class HoldOrder(BaseModel):
    """Body of the webhook; further fields are left aside. A lifted hold needs no lease."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    hold_id: Id
    version: int = Field(ge=1)
    company: str = ""
    account_id: Id
    kind: Literal["access", "order"]
    grade: Literal["warn", "restrict", "deny"]
    targets: tuple[str, ...] = Field(max_length=TARGETS_MAX)
    lease_s: int = Field(default=0, ge=0, le=LEASE_S_MAX)
    state: Literal["ordered", "renewed", "lifted"]

    @model_validator(mode="after")
    def _has_a_lease(self) -> "HoldOrder":
        if self.state != "lifted" and self.lease_s == 0:
            raise ValueError("lease_s must be at least 1 unless the hold is lifted")
        return self


@dataclass(frozen=True, slots=True)
class Kept:
    """The highest version of one hold. `ends_at`: instant at which its lease is over."""

    order: HoldOrder
    body_hash: str
    ends_at: float

    def restricts(self, now: float) -> bool:
        """Whether it restricts access at `now`."""
        return self.order.state != "lifted" and now < self.ends_at

    def standing(self, now: float) -> Standing:
        """State for people: that of the order, or `ended` once the lease is over."""
        return "ended" if self.order.state != "lifted" and now >= self.ends_at else self.order.state


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender is told. `applied`: this version is the one that counts (also when it was known already)."""

    applied: bool
    version: int
    state: Standing


class Conflict(Exception):
    """The same version of a hold came with another content."""


class Full(Exception):
    """The register holds as many holds as it may."""


class HoldRegister:
    """Holds by id."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    def accept(self, order: HoldOrder, body_hash: str, now: float) -> Answer:
        """Takes a version in. Raises Conflict for other content under a known version, Full for too many holds."""
        kept = self._kept.get(order.hold_id)
        if kept is None and len(self._kept) >= HOLDS_MAX:
            raise Full(f"no more than {HOLDS_MAX} holds are kept")
        if kept and order.version == kept.order.version and body_hash != kept.body_hash:
            raise Conflict(f"version {order.version} of hold {order.hold_id} is known with other content")
        if kept is None or order.version > kept.order.version:
            kept = self.keep(order, body_hash, now + order.lease_s)
        return Answer(order.version == kept.order.version, kept.order.version, kept.standing(now))

    def keep(self, order: HoldOrder, body_hash: str, ends_at: float) -> Kept:
        """Sets what counts for a hold, without looking at versions (used to read the journal back)."""
        self._kept[order.hold_id] = Kept(order, body_hash, ends_at)
        return self._kept[order.hold_id]

    def get(self, hold_id: str) -> Kept | None:
        """The highest version of a hold."""
        return self._kept.get(hold_id)

    def all(self) -> list[Kept]:
        """Every hold, in the order of first arrival."""
        return list(self._kept.values())

    def restricting(self, now: float) -> list[Kept]:
        """Holds that restrict access at `now`."""
        return [kept for kept in self._kept.values() if kept.restricts(now)]

    def next_end(self, now: float) -> float | None:
        """The next instant at which a lease ends, None without any."""
        return min((kept.ends_at for kept in self.restricting(now)), default=None)
