"""JSON Schema of every event type and version: what the models say, with units, personal data, topic and key.

`docs/schemas/<type>.v<n>.json` are the golden files; `python -m shared.events.schemas` writes those of the newest
versions, a test holds them to the models, `shared.events.compatibility` holds them to their history. A file of an
older version is never written again. Every schema is open: a reader ignores fields that it does not know.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from shared.events.catalogue import EVENTS, MARKERS
from shared.events.facts import personal_fields
from shared.events.upcasters import newest_version

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

UNIT_OF_SUFFIX = {
    "_minor": "minor units of the currency beside it",
    "_on": "local date of the company",
    "_at": "instant, UTC",
    "_s": "seconds",
    "_days": "days",
    "_offset": "place in the partition, from 0",
    "_version": "ordinal, rising by one",
}
UNIT_OF_NAME = {
    "at": "instant, UTC",
    "on": "local date of the company",
    "date": "local date of the company",
    "minutes": "minutes",
    "bytes": "bytes",
    "days_past_due": "days",
    "lines": "count",
    "attempts": "count",
    "times": "count",
    "number": "ordinal, rising",
    "version": "ordinal, rising by one",
    "level": "ordinal, 1 is the mildest",
    "offset": "place in the partition, from 0",
    "partition": "number of the partition, from 0",
    "rank": "ordinal, 1 is the best",
    "line": "place in the file, from 1",
    "tolerance": "share of the amount, decimal text",
    "rate": "decimal text",
    "tax_rate": "decimal text",
    "lambda_value": "probability, decimal text",
    "quantity": "decimal text",
}
UNIT_OF_MODEL = {"Relief": "minor units of the currency beside it"}
"""Units of fields without a suffix; of a field that is not of a type that can have a unit, nothing is said."""
WITH_UNIT = frozenset({"integer", "number"})


def models() -> dict[str, type[BaseModel]]:
    """Every type of the catalogue and every marker, with its model."""
    return {name: entry.model for name, entry in EVENTS.items()} | dict(MARKERS)


def schema_of(event_type: str) -> Schema:
    """The schema of the newest version of a type. `$id` is what `ce_dataschema` says."""
    model = models()[event_type]
    made = model.model_json_schema()
    parts = {part.__name__: part for part in _parts(model)}
    _annotate(made, model)
    for name, definition in made.get("$defs", {}).items():
        _annotate(definition, parts[name])
    head: Schema = {"$schema": DIALECT, "$id": f"recoup:{event_type}:{newest_version(event_type)}"}
    if event_type in EVENTS:
        entry = EVENTS[event_type]
        head |= {"x-topic": entry.topic, "x-publisher": entry.publisher, "x-key": entry.key}
    return head | made


def _annotate(schema: Schema, model: type[BaseModel]) -> None:
    personal = personal_fields(model)
    for name, part in schema.get("properties", {}).items():
        unit = unit_of(model.__name__, name, part)
        if unit:
            part["x-unit"] = unit
        if name in personal:
            part["x-personal"] = True


def unit_of(model: str, name: str, schema: Schema) -> str | None:
    """The unit of a field, by its name; None for what has none."""
    kinds = [schema, *schema.get("anyOf", ())]
    can = any(kind.get("type") in WITH_UNIT or kind.get("format") in ("date", "date-time") for kind in kinds)
    text = any(kind.get("type") == "string" for kind in kinds) and "decimal text" in UNIT_OF_NAME.get(name, "")
    if not can and not text:
        return None
    if model in UNIT_OF_MODEL:
        return UNIT_OF_MODEL[model]
    if name in UNIT_OF_NAME:
        return UNIT_OF_NAME[name]
    return next((unit for suffix, unit in UNIT_OF_SUFFIX.items() if name.endswith(suffix)), None)


def _parts(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The model and every model inside it."""
    seen: set[type[BaseModel]] = set()
    waiting = [model]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        yield one
        for info in one.model_fields.values():
            waiting += _models_in(info.annotation)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models_in(argument)]


def file_of(event_type: str, version: int) -> str:
    return f"{event_type}.v{version}.json"


def newest_files() -> dict[str, str]:
    """Name and text of the golden file of every type's newest version."""
    return {
        file_of(name, newest_version(name)): json.dumps(schema_of(name), indent=1, ensure_ascii=False) + "\n"
        for name in models()
    }


def write() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in newest_files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
