"""The envelope: CloudEvents 1.0 attributes and our extensions, carried as Kafka headers in binary mode.

Headers and keys hold ids only, never personal data. `sequence` is given by the outbox and gap-free per source,
topic and key (per partition for `ar.payments` and markers).
"""

from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from shared.errors import Broken, Stop
from shared.events.upcasters import newest_version
from shared.ids import read_id

Headers = Sequence[tuple[str, bytes]]
SEQUENCE_DIGITS = 18
SHARED_IDS = 4_096
_REQUIRED = ("ce_id", "ce_source", "ce_type", "ce_subject", "ce_time")


class Envelope(NamedTuple):
    """`actor` is `feed:…`, `user:…`, `service:…` or `customer:…`; `known_at` is set once, at the door.

    A named tuple, since one is made for every event in and out and a frozen dataclass costs four times as much.
    """

    id: UUID
    source: str
    type: str
    subject: str
    time: datetime
    company: str
    actor: str
    business_date: date
    known_at: datetime
    correlation_id: UUID
    causation_id: UUID
    on_behalf_of: str = ""
    policy_version: str = ""
    code_version: str = ""
    sequence: str = ""
    traceparent: str = ""

    def to_headers(self) -> list[tuple[str, bytes]]:
        """Kafka headers. An optional attribute that is not known is empty."""
        return [(name, value.encode()) for name, value in self.to_texts(self.sequence).items()]

    def to_texts(self, sequence: str) -> dict[str, str]:
        """The headers as text, with `sequence` in place of the envelope's own."""
        return {
            "ce_specversion": "1.0",
            "ce_id": str(self.id),
            "ce_source": self.source,
            "ce_type": self.type,
            "ce_subject": self.subject,
            "ce_time": self.time.isoformat(),
            "ce_dataschema": f"recoup:{self.type}:{newest_version(self.type)}",
            "content-type": "application/json",
            "ce_company": self.company,
            "ce_actor": self.actor,
            "ce_onbehalfof": self.on_behalf_of,
            "ce_businessdate": self.business_date.isoformat(),
            "ce_knownat": self.known_at.isoformat(),
            "ce_policyversion": self.policy_version,
            "ce_codeversion": self.code_version,
            "ce_sequence": sequence,
            "ce_correlationid": str(self.correlation_id),
            "ce_causationid": str(self.causation_id),
            "ce_traceparent": self.traceparent,
        }

    @classmethod
    def from_headers(cls, headers: Headers) -> "Envelope":
        """Read the headers. Raises Broken naming the first attribute that is missing or unreadable, and Stop for an
        event of a newer version than this code knows: nothing behind it may be decided.
        """
        try:
            found = {name: value.decode() for name, value in headers}
        except (UnicodeDecodeError, AttributeError):  # a header without a value is None
            raise Broken("header_unreadable", "the record has a header that is no text in UTF-8") from None
        missing = [name for name in _REQUIRED if not found.get(name)]
        if missing:
            raise Broken("header_missing", f"the record has no {missing[0]} header; it was not written by Recoup")
        _refuse_newer(found)
        try:
            return cls(
                id=read_id(found["ce_id"]),
                source=found["ce_source"],
                type=found["ce_type"],
                subject=found["ce_subject"],
                time=datetime.fromisoformat(found["ce_time"]),
                company=found["ce_company"],
                actor=found["ce_actor"],
                business_date=date.fromisoformat(found["ce_businessdate"]),
                known_at=datetime.fromisoformat(found["ce_knownat"]),
                correlation_id=_shared_id(found["ce_correlationid"]),
                causation_id=_shared_id(found["ce_causationid"]),
                on_behalf_of=found.get("ce_onbehalfof", ""),
                policy_version=found.get("ce_policyversion", ""),
                code_version=found.get("ce_codeversion", ""),
                sequence=found.get("ce_sequence", ""),
                traceparent=found.get("ce_traceparent", ""),
            )
        except KeyError as problem:
            what = f"{found['ce_type']} {found['ce_id']} has no {problem.args[0]} header"
            raise Broken("header_missing", what) from problem
        except ValueError as problem:
            what = f"the envelope of {found['ce_type']} {found['ce_id']} cannot be read: {problem}"
            raise Broken("header_unreadable", what) from problem

    def with_sequence(self, number: int) -> "Envelope":
        return self._replace(sequence=sequence_text(number))


def sequence_text(number: int) -> str:
    """A sequence whose order as text is the order of the numbers."""
    return str(number).zfill(SEQUENCE_DIGITS)


@lru_cache(maxsize=SHARED_IDS)
def _shared_id(text: str) -> UUID:
    """Id of what caused an event: the same for all rows of a file or all that follow from one fact."""
    return read_id(text)


def version_in(found: dict[str, str]) -> int | None:
    """The version of the payload that `ce_dataschema` names; None when it names none."""
    version = found.get("ce_dataschema", "").rpartition(":")[2]
    return int(version) if version.isdigit() else None


def _refuse_newer(found: dict[str, str]) -> None:
    version, known = version_in(found), newest_version(found["ce_type"])
    if version is not None and version > known:
        raise Stop(
            f"{found['ce_type']} {found['ce_id']} is of version {version}, this code knows {known}; "
            "start the newer version of the service"
        )
