"""What an audit found: how many comparisons were made, and a sentence for each that failed.

Invariant: a comparison is counted whether it holds or not, so that an audit that looked at nothing shows zero.
"""

from dataclasses import dataclass, field
from typing import Any

KEPT_MAX = 500


@dataclass(slots=True)
class Findings:
    """`texts` name what differs, at most KEPT_MAX of them; `more` counts the rest. `notes` are no findings: what could
    not be looked at, and why."""

    checks: int = 0
    texts: list[str] = field(default_factory=list)
    more: int = 0
    notes: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def equal(self, expected: Any, found: Any, what: str, *names: Any) -> bool:
        """Counts a comparison; `what` is a format string for the names."""
        self.checks += 1
        if expected == found:
            return True
        self._add(f"{what.format(*names)}: expected {expected}, found {found}")
        return False

    def true(self, holds: Any, what: str, *names: Any) -> bool:
        """Counts a condition; `what` says what is wrong when it does not hold."""
        self.checks += 1
        if not holds:
            self._add(what.format(*names))
        return bool(holds)

    def note(self, text: str) -> None:
        self.notes.append(text)

    @property
    def count(self) -> int:
        return len(self.texts) + self.more

    @property
    def passed(self) -> bool:
        return not self.count

    def _add(self, text: str) -> None:
        if len(self.texts) < KEPT_MAX:
            self.texts.append(text)
        else:
            self.more += 1
