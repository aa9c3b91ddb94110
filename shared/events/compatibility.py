"""FULL_TRANSITIVE: any two versions of a schema read each other's events, whatever versions lie between them.

Only optional fields may come or go; nothing is renamed, retyped, narrowed, widened or counted in another unit. A pure
function over a history of schemas; the history is that of the git tags `events-*` (`shared.events.history`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Schema = Mapping[str, Any]

LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
EXACT = {"format": "format", "pattern": "pattern", "const": "constant", "x-unit": "unit"}
UNITS = ("minor", "cents", "major", "on", "at", "s", "ms", "seconds", "minutes", "hours", "days", "percent", "permille")
"""Last words of a name that say in what it is counted."""
DEPTH_MAX = 20


class Break(NamedTuple):
    """Why two versions do not read each other. `where` is the path of the field, empty for the type itself."""

    where: str
    code: str
    why: str

    def __str__(self) -> str:
        return f"{self.where or 'the type'}: {self.why} [{self.code}]"


def breaks_in(history: Sequence[Schema]) -> list[Break]:
    """What of a history, oldest first, is not FULL_TRANSITIVE: every version is held against every earlier one."""
    found: dict[tuple[str, str], Break] = {}
    for place, newer in enumerate(history):
        for older in history[:place]:
            for one in breaks_between(older, newer):
                found.setdefault((one.where, one.code), one)
    return list(found.values())


def breaks_between(older: Schema, newer: Schema) -> list[Break]:
    """What keeps two versions of a type from reading each other."""
    found = [
        Break("", f"{name}_changed", f"its {name} was {older[attribute]!r} and is {newer[attribute]!r}")
        for name, attribute in (("topic", "x-topic"), ("key", "x-key"))
        if attribute in older and attribute in newer and older[attribute] != newer[attribute]
    ]
    return found + _objects("", _Pair(older, older), _Pair(newer, newer), 0)


class _Pair(NamedTuple):
    """A schema, and the document in which its references lie."""

    schema: Schema
    document: Schema

    def at(self, schema: Schema) -> "_Pair":
        return _Pair(schema, self.document)

    def resolved(self) -> "_Pair":
        """What the schema refers to, with what stands beside the reference."""
        schema: dict[str, Any] = dict(self.schema)
        while reference := schema.pop("$ref", None):
            target: Any = self.document
            for step in reference.removeprefix("#/").split("/"):
                target = target[step]
            schema = {**target, **schema}
        return self.at(schema)


def _values(where: str, older: _Pair, newer: _Pair, depth: int) -> list[Break]:
    """Two schemas of one field."""
    if depth > DEPTH_MAX:
        return [Break(where, "too_deep", f"models lie deeper in each other than {DEPTH_MAX}")]
    older, newer = older.resolved(), newer.resolved()
    was, now = _branches(older), _branches(newer)
    if list(was) != list(now):
        gone, come = sorted(set(was) - set(now)), sorted(set(now) - set(was))
        code = "type_narrowed" if gone and not come else "type_widened" if come and not gone else "type_changed"
        return [Break(where, code, f"was {' or '.join(was)} and is {' or '.join(now)}")]
    found = _unit(where, older.schema, newer.schema) + _default(where, older.schema, newer.schema)
    for kind in was:
        found += _same_kind(where, older.at(was[kind]).resolved(), newer.at(now[kind]).resolved(), depth)
    return found


def _branches(pair: _Pair) -> dict[str, Schema]:
    """The kinds of value that a schema takes, in a fixed order; a schema without a type takes any."""
    parts = pair.schema.get("anyOf") or [pair.schema]
    found: dict[str, Schema] = {}
    for part in parts:
        schema = pair.at(part).resolved().schema
        kinds = schema.get("type", _type_of(schema))
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            found[kind] = part
    return dict(sorted(found.items()))


def _type_of(schema: Schema) -> str:
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return "string" if values and all(isinstance(value, str) for value in values) else "any"


def _unit(where: str, older: Schema, newer: Schema) -> list[Break]:
    was, now = older.get("x-unit"), newer.get("x-unit")
    return [] if was == now else [Break(where, "unit_changed", f"its unit was {was!r} and is {now!r}")]


def _default(where: str, older: Schema, newer: Schema) -> list[Break]:
    """An absent field means its default: with another one the same event says something else."""
    if "default" not in older or "default" not in newer or older["default"] == newer["default"]:
        return []
    return [Break(where, "default_changed", f"its default was {older['default']!r} and is {newer['default']!r}")]


def _same_kind(where: str, older: _Pair, newer: _Pair, depth: int) -> list[Break]:
    was, now = older.schema, newer.schema
    found = _values_of_enum(where, was, now) + _bounds(where, was, now)
    for attribute, name in EXACT.items():
        if attribute != "x-unit" and was.get(attribute) != now.get(attribute):
            why = f"its {name} was {was.get(attribute)!r} and is {now.get(attribute)!r}"
            found.append(Break(where, f"{name}_changed", why))
    if "items" in was and "items" in now:
        found += _values(f"{where}[]", older.at(was["items"]), newer.at(now["items"]), depth + 1)
    if isinstance(was.get("additionalProperties"), Mapping) and isinstance(now.get("additionalProperties"), Mapping):
        inside = older.at(was["additionalProperties"]), newer.at(now["additionalProperties"])
        found += _values(f"{where}{{}}", *inside, depth + 1)
    if "properties" in was or "properties" in now:
        found += _objects(where, older, newer, depth + 1)
    return found


def _values_of_enum(where: str, older: Schema, newer: Schema) -> list[Break]:
    was, now = older.get("enum"), newer.get("enum")
    if was is None and now is None:
        return []
    if was is None:
        return [Break(where, "enum_narrowed", f"took any value and takes only {', '.join(map(str, now or ()))}")]
    if now is None:
        return [Break(where, "enum_widened", f"took only {', '.join(map(str, was))} and takes any value")]
    gone, come = [value for value in was if value not in now], [value for value in now if value not in was]
    found = []
    if gone:
        found.append(Break(where, "enum_narrowed", f"no longer takes {', '.join(map(str, gone))}"))
    if come:
        why = f"takes {', '.join(map(str, come))} too, which earlier readers refuse"
        found.append(Break(where, "enum_widened", why))
    return found


def _bounds(where: str, older: Schema, newer: Schema) -> list[Break]:
    """A tighter bound refuses what was written, a wider one writes what earlier readers refuse."""
    found = []
    for bound in (*LOWER_BOUNDS, *UPPER_BOUNDS):
        was, now = older.get(bound), newer.get(bound)
        if was == now:
            continue
        is_tighter = was is None or (now is not None and (now > was) == (bound in LOWER_BOUNDS))
        code = "bound_narrowed" if is_tighter else "bound_widened"
        found.append(Break(where, code, f"{bound} was {was} and is {now}"))
    return found


def _objects(where: str, older: _Pair, newer: _Pair, depth: int) -> list[Break]:
    was, now = older.schema.get("properties", {}), newer.schema.get("properties", {})
    found = []
    for pair, tense in ((older, "was"), (newer, "is")):
        if pair.schema.get("additionalProperties") is False:
            found.append(Break(where, "closed", f"{tense} closed: a field that comes later is refused by its readers"))
    found += _required(where, older.schema, newer.schema) + _renamed(where, set(was) - set(now), set(now) - set(was))
    for name in was:
        if name in now:
            found += _values(_path(where, name), older.at(was[name]), newer.at(now[name]), depth)
    return found


def _required(where: str, older: Schema, newer: Schema) -> list[Break]:
    was, now = set(older.get("required", ())), set(newer.get("required", ()))
    before, after = older.get("properties", {}), newer.get("properties", {})
    found = []
    for name in sorted(now - was):
        why = "an optional field became required" if name in before else "a required field was added"
        found.append(Break(_path(where, name), "required_added", f"{why}; earlier events lack it"))
    for name in sorted(was - now):
        why = "a required field became optional" if name in after else "a required field was removed"
        found.append(Break(_path(where, name), "required_removed", f"{why}; earlier readers need it"))
    return found


def _renamed(where: str, gone: set[str], come: set[str]) -> list[Break]:
    """A field that comes as another one of its stem goes is the same thing in another unit."""
    return [
        Break(_path(where, new), "unit_changed", f"is {old} in another unit; keep {old}, or make a new type")
        for old in sorted(gone)
        for new in sorted(come)
        if stem_of(old) == stem_of(new)
    ]


def stem_of(name: str) -> str:
    """The name without the unit at its end."""
    stem, _, last = name.rpartition("_")
    return stem if stem and last in UNITS else name


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
