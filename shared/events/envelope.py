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
HEADERS = (
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_subject",
    "ce_time",
    "ce_dataschema",
    "content-type",
    "ce_company",
    "ce_actor",
    "ce_onbehalfof",
    "ce_businessdate",
    "ce_knownat",
    "ce_policyversion",
    "ce_codeversion",
    "ce_sequence",
    "ce_correlationid",
    "ce_causationid",
    "ce_traceparent",
)
"""Names of the headers. New ones are added at the end: rows that wait in an outbox hold the values alone."""
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
        """Kafka headers, as `headers_of` gives them."""
        return headers_of(self.to_texts(self.sequence))

    def to_texts(self, sequence: str) -> list[str]:
        """The values of `HEADERS` in their order, with `sequence` in place of the envelope's own."""
        return [
            "1.0",
            str(self.id),
            self.source,
            self.type,
            self.subject,
            self.time.isoformat(),
            f"recoup:{self.type}:{newest_version(self.type)}",
            "application/json",
            self.company,
            self.actor,
            self.on_behalf_of,
            self.business_date.isoformat(),
            self.known_at.isoformat(),
            self.policy_version,
            self.code_version,
            sequence,
            str(self.correlation_id),
            str(self.causation_id),
            self.traceparent,
        ]

    @classmethod
    def from_headers(cls, headers: Headers) -> "Envelope":
        """Read the headers. Raises Broken naming the first attribute that is missing or unreadable, and Stop for an
        event of a newer version than this code knows: nothing behind it may be decided.
        """
        try:
            found = {name: value.decode() for name, value in headers}
        except (UnicodeDecodeError, AttributeError):  # a header without a value is None
            raise Broken("header_unreadable", "the record has a header that is no text in UTF-8") from None
        if not all(map(found.get, _REQUIRED)):
            missing = next(name for name in _REQUIRED if not found.get(name))
            raise Broken("header_missing", f"the record has no {missing} header; it was not written by Recoup")
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


def headers_of(texts: Sequence[str]) -> list[tuple[str, bytes]]:
    """Headers of the values that `Envelope.to_texts` gives. An attribute that is not known is left out."""
    return [(name, text.encode()) for name, text in zip(HEADERS, texts, strict=False) if text]


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
