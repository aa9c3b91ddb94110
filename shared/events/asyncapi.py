"""Writes docs/asyncapi.yaml from the catalogue: `python -m shared.events.asyncapi`. AsyncAPI 3.0.0.

Channels are topics, messages event types, operations what a service sends or receives. Payloads are the golden schemas
of docs/schemas, which the document refers to. A test holds it to the code and to AsyncAPI's own schema.
"""

from pathlib import Path
from typing import Any

import yaml

from shared.events.catalogue import (
    CONTROL,
    EVENT_BYTES_MAX,
    EVENTS,
    MARKERS,
    PARTITIONS,
    READS,
    TOPICS_OF,
    KeyRule,
)
from shared.events.example import example
from shared.events.schemas import file_of, models
from shared.events.upcasters import newest_version

PAGE = Path(__file__).resolve().parents[2] / "docs" / "asyncapi.yaml"
VERSION = "3.0.0"
BINDING_VERSION = "0.5.0"
SCHEMA_FORMAT = "application/schema+json;version=2020-12"
Node = dict[str, Any]

KEYS: dict[KeyRule | None, str] = {
    "company": "company",
    "account": "company/account, or company/~id of the thing itself while it has no account",
    "payment": "company/payment id",
    "own": "company/~id of the thing itself",
    None: "the number of the partition",
}
"""What the Kafka key of a type is; None is for markers."""
REQUIRED_HEADERS = {
    "ce_specversion": "version of CloudEvents",
    "ce_id": "identity of the event, uuid5: the same for the same thing told twice",
    "ce_source": "service that wrote it",
    "ce_type": "event type",
    "ce_subject": "what it is about",
    "ce_time": "instant, UTC",
    "ce_dataschema": "recoup:<type>:<version>",
    "ce_company": "creditor",
    "ce_actor": "feed:…, user:…, service:… or customer:…",
    "ce_businessdate": "business date of the company on which it counts",
    "ce_knownat": "instant at which it came through the door, copied by every consequence",
    "ce_sequence": "zero-padded, gap-free per source, topic and key (per partition on ar.payments and for markers)",
    "ce_correlationid": "what all of it began with",
    "ce_causationid": "the event that caused this one",
}
OPTIONAL_HEADERS = {
    "ce_onbehalfof": "whom the actor stands in for",
    "ce_policyversion": "name@version of the policy that decided",
    "ce_codeversion": "version of the code that decided",
    "ce_traceparent": "W3C trace context",
    "content-type": "application/json",
}


def document() -> Node:
    """The whole document as plain values."""
    topics = sorted({entry.topic for entry in EVENTS.values()})
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Recoup events",
            "version": "0.1.0",
            "description": (
                "Generated from shared/events by `python -m shared.events.asyncapi`; do not edit. CloudEvents 1.0, "
                "Kafka protocol binding, binary mode: attributes are headers, the payload alone is the value. Types "
                "are drafts until the tag events-1.0; from then on only optional fields come or go."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {_name(topic): _channel(topic) for topic in topics},
        "operations": _operations(topics),
        "components": {
            "messages": {_name(kind): _message(kind) for kind in models()},
            "schemas": {"Headers": _headers()},
        },
    }


def _name(text: str) -> str:
    """A key of components, of letters, digits, `_` and `-` only."""
    return text.replace(".", "-")


def types_on(topic: str) -> list[str]:
    """Event types and markers that lie on a topic."""
    events = [kind for kind, entry in EVENTS.items() if entry.topic == topic]
    return events + (list(MARKERS) if any(topic in topics for topics in TOPICS_OF.values()) else [])


def _channel(topic: str) -> Node:
    return {
        "address": topic,
        "messages": {_name(kind): _ref("messages", kind) for kind in types_on(topic)},
        "bindings": {
            "kafka": {
                "topic": topic,
                "partitions": PARTITIONS,
                "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": -1},
                "bindingVersion": BINDING_VERSION,
            }
        },
    }


def _ref(kind: str, name: str) -> Node:
    return {"$ref": f"#/components/{kind}/{_name(name)}"}


def _operations(topics: list[str]) -> Node:
    found: Node = {}
    for service in READS:
        for topic in topics:
            sent = [kind for kind in types_on(topic) if service in emitters(kind, topic)]
            if sent:
                found[f"{service}-sends-{_name(topic)}"] = _operation("send", topic, sent, service)
            if topic in READS[service]:
                found[f"{service}-receives-{_name(topic)}"] = _operation("receive", topic, types_on(topic), service)
    return found


def emitters(kind: str, topic: str) -> tuple[str, ...]:
    """Services that write a type: its publisher, or every service for what names one; markers: who owns the topic."""
    if kind in MARKERS:
        return tuple(service for service, topics in TOPICS_OF.items() if topic in topics)
    is_of_all = topic == CONTROL and "service" in models()[kind].model_fields
    return tuple(READS) if is_of_all else (EVENTS[kind].publisher,)


def _operation(action: str, topic: str, kinds: list[str], service: str) -> Node:
    channel = f"#/channels/{_name(topic)}"
    verb = "writes" if action == "send" else "reads"
    return {
        "action": action,
        "summary": f"{service} {verb} {topic}",
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{_name(kind)}"} for kind in kinds],
    }


def _message(kind: str) -> Node:
    model = models()[kind]
    rule = EVENTS[kind].key if kind in EVENTS else None
    document = " ".join((model.__doc__ or "").split())
    return {
        "name": kind,
        "title": model.__name__,
        **({"summary": document} if document else {}),
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/Headers"},
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "payload": {
            "schemaFormat": SCHEMA_FORMAT,
            "schema": {"$ref": f"./schemas/{file_of(kind, newest_version(kind))}"},
        },
        "bindings": {
            "kafka": {"key": {"type": "string", "description": KEYS[rule]}, "bindingVersion": BINDING_VERSION}
        },
        "examples": [{"name": kind, "payload": example(kind)}],
        "x-bytes-max": EVENT_BYTES_MAX,
    }


def _headers() -> Node:
    named = REQUIRED_HEADERS | OPTIONAL_HEADERS
    texts = {name: {"type": "string", "description": said} for name, said in named.items()}
    return {"type": "object", "required": list(REQUIRED_HEADERS), "properties": texts}


def page() -> str:
    """The document as YAML."""
    return yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
