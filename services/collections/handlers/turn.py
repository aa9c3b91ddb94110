"""One event being decided for one account."""

from dataclasses import dataclass, field
from datetime import date

from services.collections.domain.case import Case
from services.collections.domain.rules import Rules
from shared.events.codec import Event
from shared.events.facts import Fact


@dataclass(slots=True)
class Turn:
    """One event being decided: its case, the rules of its date, and the facts that follow so far."""

    event: Event
    case: Case
    rules: Rules
    facts: list[Fact] = field(default_factory=list)

    @property
    def on(self) -> date:
        return self.event.envelope.business_date

    @property
    def actor(self) -> str:
        return self.event.envelope.actor
