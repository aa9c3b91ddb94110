"""The entries of the bench, in the order in which they run and stand in the table."""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal

from tests.bench import cash, chain, growth, memory, quarter, rebuild, relay, services, simplest, statements
from tests.bench.service_loads import LOADS


@dataclass(frozen=True, slots=True)
class Entry:
    """`part` has `run` and `rows`; `on` says what it runs on: the two servers alone, a stack that entries share, or
    one that it starts itself. `decides`: its targets do not depend on the speed of the machine."""

    name: str
    part: ModuleType
    on: Literal["servers", "shared stack", "own stack"] = "servers"
    decides: bool = False
    options: dict[str, Any] = field(default_factory=dict)


ENTRIES = (
    Entry("simplest", simplest),
    Entry("relay", relay),
    Entry("cash", cash),
    Entry("statements", statements, decides=True),
    Entry("open-items", growth, decides=True, options={"of": "open items"}),
    Entry("inbox", growth, decides=True, options={"of": "inbox rows"}),
    Entry("memory", memory, decides=True),
    Entry("rebuild", rebuild),
    *(Entry(f"latency-{name}", services, on="shared stack", options={"service": name}) for name in LOADS),
    Entry("chain", chain, on="own stack"),
    Entry("quarter", quarter, on="own stack", options={"days": 60}),
)
