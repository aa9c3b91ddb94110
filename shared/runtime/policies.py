"""Activated policies as a service reads them: which it can read, and which it refuses and why.

Invariant: a policy that a service cannot read never stops it, the one before it goes on to count; and everybody who
may look at the service sees that: `GET /v1/runtime/policies`, `policies_refused` of its progress, a gauge, its log.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import structlog

from shared.events.codec import Event
from shared.events.control import PolicyActivated
from shared.runtime.effects import Policy

LOG = structlog.get_logger()


@runtime_checkable
class ReadsPolicies(Protocol):
    """A handler that has policies of its own."""

    def policy_problem(self, name: str, content: dict) -> str | None:
        """None for a policy that is not this service's, "" for one that it can read, else what is wrong with it."""
        ...


@dataclass(frozen=True, slots=True)
class ReadPolicy:
    """`problem` is empty for a policy that can be read."""

    policy: Policy
    problem: str


def read_all(handler: object, policies: Iterable[Policy]) -> list[ReadPolicy]:
    """The policies that concern the service, in the order of their activation."""
    if not isinstance(handler, ReadsPolicies):
        return []
    found = ((policy, handler.policy_problem(policy.name, policy.content)) for policy in policies)
    return [ReadPolicy(policy, problem) for policy, problem in found if problem is not None]


def name_refused(handler: ReadsPolicies, events: Sequence[Event]) -> None:
    """Names activated policies of a batch that cannot be read in the log."""
    for fact in (event.data for event in events if isinstance(event.data, PolicyActivated)):
        if problem := handler.policy_problem(fact.name, fact.content):
            LOG.error("policy_unreadable", company=fact.company, name=fact.name, version=fact.version, error=problem)
