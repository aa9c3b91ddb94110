"""Policies as files: what a draft must be, and the fact by which an approved one comes into force."""

import hashlib
import json
from typing import Any

import yaml

from services.ingest.domain.fields import Refused

CONTENT_BYTES_MAX = 200_000


def content_of(text: str) -> dict[str, Any]:
    """The mapping of a YAML or JSON text. Raises Refused with the line of an error."""
    if len(text.encode()) > CONTENT_BYTES_MAX:
        raise Refused("too_large", "content", f"a policy has at most {CONTENT_BYTES_MAX} bytes")
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        raise Refused(
            "not_yaml", "content", f"{place}neither YAML nor JSON: {getattr(error, 'problem', error)}"
        ) from None
    if not isinstance(found, dict):
        raise Refused("not_a_mapping", "content", "a policy is a mapping of names to values")
    return plain(found)


def plain(content: dict[str, Any]) -> dict[str, Any]:
    """Content as JSON values: dates of YAML become ISO text."""
    return json.loads(json.dumps(content, default=str, allow_nan=False))


def sha256_of(content: dict[str, Any]) -> str:
    """Hash of the canonical JSON of a content."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
