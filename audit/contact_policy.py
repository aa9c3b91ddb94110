"""The policy `contact` as the auditor reads it, from the activated content: what no profile allows is forbidden."""

from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from typing import Any

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HARD_STOPS = ("insolvent", "bankrupt", "deceased", "moratorium", "attorney", "closed")
OBJECTIONS = ("cease", "objection", "no_email")
HARMLESS = ("invoice", "debit_memo")


@dataclass(frozen=True, slots=True)
class Profile:
    """Rules for kinds of debtors in countries. The window is half-open local time."""

    name: str
    kinds: frozenset[str]
    countries: frozenset[str]
    channels: frozenset[str]
    start: time
    end: time
    days: frozenset[str]
    holidays: bool
    own_zone: bool
    cap: int
    cap_days: int

    def fits(self, account: dict[str, Any]) -> bool:
        here = "*" in self.countries or account.get("country", "") in self.countries
        return here and account.get("debtor_kind", "unknown") in self.kinds


@dataclass(frozen=True, slots=True)
class ContactPolicy:
    """`concerned_by_all`: a thing of nobody in particular stands against everyone even if its amount is known."""

    label: str
    profiles: tuple[Profile, ...]
    hard_stops: frozenset[str]
    objections: frozenset[str]
    harmless: frozenset[str]
    concerned_by_all: bool
    amount_window: Decimal
    candidate_days: int
    minimum_minor: dict[str, int]
    no_bank_data: str


def read_contact_policy(content: dict[str, Any], version: str = "") -> ContactPolicy:
    """Raises ValueError, KeyError or TypeError for a content that is no such policy."""
    return ContactPolicy(
        label=f"contact@{version}",
        profiles=tuple(_profile(made) for made in content.get("profiles", ())),
        hard_stops=frozenset(content.get("hard_stops", HARD_STOPS)),
        objections=frozenset(content.get("objections", OBJECTIONS)),
        harmless=frozenset(content.get("harmless_without_account", HARMLESS)),
        concerned_by_all=content.get("unassigned", "amount") == "company",
        amount_window=Decimal(str(content.get("unassigned_window", "0.05"))),
        candidate_days=int(content.get("candidate_business_days", 10)),
        minimum_minor=dict(content.get("minimum_minor", {})),
        no_bank_data=content.get("no_bank_data", "withhold"),
    )


def _profile(made: dict[str, Any]) -> Profile:
    window, cap = made.get("window", {}), made.get("cap", {})
    return Profile(
        name=made.get("name", ""),
        kinds=frozenset(made["debtor_kinds"]),
        countries=frozenset(made.get("countries", ("*",))),
        channels=frozenset(made.get("channels", ())),
        start=time.fromisoformat(window.get("start", "08:00")),
        end=time.fromisoformat(window.get("end", "20:00")),
        days=frozenset(window.get("days", DAYS[:5])),
        holidays=made.get("holidays", True),
        own_zone=made.get("needs_own_time_zone", False),
        cap=int(cap.get("n", 3)),
        cap_days=int(cap.get("days", 7)),
    )
