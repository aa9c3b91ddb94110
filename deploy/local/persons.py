"""The named sample persons of the local stack: roles, limits, and a secret each that is made at the first start.

Invariant: no person holds duties that exclude each other; a file that says otherwise is refused with the reason.
"""

import json
import secrets
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from deploy.local.errors import StackError
from deploy.local.serve import write_private
from shared.permissions import (
    ANALYST,
    APPROVAL_LIMIT_MINOR,
    AUDITOR,
    CLOCK,
    COLLECTOR,
    CONTROLLER,
    FEEDER,
    OPERATOR,
    ROLES,
    SUPERVISOR,
    duty_conflicts,
)

COMPANY, BASE_CURRENCY = "vdr-eu", "EUR"
ADJUSTMENTS = ("adjustment", "credit_memo", "write_off")
SECRET_BYTES = 24


class Person(BaseModel):
    """One who can get a token. `limits`: kind of approval -> currency -> minor units."""

    model_config = ConfigDict(extra="forbid")

    name: str
    title: str
    kind: Literal["person", "service"] = "person"
    roles: list[str] = Field(min_length=1)
    companies: list[str] = [COMPANY]
    limits: dict[str, dict[str, int]] = {}
    on_behalf_of: str | None = None
    secret: Annotated[str, StringConstraints(min_length=16)]


def _sample(name: str, title: str, *roles: str, kind: Literal["person", "service"] = "person") -> Person:
    limit = max((APPROVAL_LIMIT_MINOR.get(role, 0) for role in roles), default=0)
    limits = {adjustment: {BASE_CURRENCY: limit} for adjustment in ADJUSTMENTS} if limit else {}
    return Person(
        name=name,
        title=title,
        kind=kind,
        roles=list(roles),
        limits=limits,
        secret=secrets.token_urlsafe(SECRET_BYTES),
    )


def sample_persons() -> dict[str, Person]:
    """Subject -> person, with fresh secrets."""
    return {
        "ana": _sample("Ana", "cash-application analyst", ANALYST),
        "colin": _sample("Colin", "collector", COLLECTOR),
        "sue": _sample("Sue", "supervisor", SUPERVISOR),
        "conrad": _sample("Conrad", "controller", CONTROLLER),
        "audrey": _sample("Audrey", "auditor", AUDITOR),
        "otto": _sample("Otto", "operator", OPERATOR),
        "feeder": _sample("Feeder", "the sample feed", FEEDER, CLOCK, kind="service"),
    }


def load_persons(path: Path) -> dict[str, Person]:
    """Persons of the file, made at the first start; a sample person that is missing in it is added.

    Raises StackError when the file is damaged, names an unknown role, or gives one person conflicting duties.
    """
    kept = _read(path) if path.exists() else {}
    persons = sample_persons() | kept
    for subject, person in persons.items():
        check_roles(subject, person.roles)
    if persons.keys() != kept.keys():
        content = {subject: person.model_dump(mode="json") for subject, person in persons.items()}
        write_private(path, json.dumps({"persons": content}, indent=1))
    return persons


def check_roles(subject: str, roles: list[str]) -> None:
    """Raises StackError when `subject` may not be given these roles."""
    if unknown := set(roles) - ROLES:
        raise StackError(f"{subject}: role {sorted(unknown)[0]!r} does not exist; the roles are {sorted(ROLES)}")
    if conflicts := duty_conflicts(roles):
        raise StackError(f"{subject}: one person may not be {conflicts[0]}; give one of the roles to somebody else")


def _read(path: Path) -> dict[str, Person]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {subject: Person.model_validate(entry) for subject, entry in content["persons"].items()}
    except (ValueError, ValidationError, KeyError, TypeError, AttributeError) as error:
        hint = type(error).__name__ if isinstance(error, ValidationError) else error
        raise StackError(f"{path} cannot be read ({hint}); correct it, or remove it to have it made anew") from None
