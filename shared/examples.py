"""Examples of answers for OpenAPI, built from the models: a model's or field's own example, else the usual word.

Invariant: an example fits its schema, and no field is filled with a word that means nothing. A field without an
example or a word makes the example fail (`NoExample`), and a contract test names it.
"""

from collections.abc import Mapping
from typing import Any

from shared.example_words import WORDS

Schema = Mapping[str, Any]
UUID_EXAMPLE = "2f0c3c1e-6c8a-5a3f-9f61-0a54a6b8d7e1"
DAY_EXAMPLE = "2026-03-31"
INSTANT_EXAMPLE = "2026-03-31T07:30:00Z"
AMOUNT_EXAMPLE = 118_000
DEPTH_MAX = 8
"""Models inside models; what stands deeper nobody would read."""
_TYPES = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}


class NoExample(ValueError):
    """A field of an answer has no example; give it `examples` in its model, or a word in shared/example_words.py."""


def example_of(schema: Schema, models: Mapping[str, Schema], model: str = "", name: str = "", depth: int = 0) -> Any:
    """An instance of `schema`, the field `name` of `model`. `models`: the document's. Raises NoExample."""
    if depth > DEPTH_MAX:
        raise NoExample(f"{model}.{name}: models lie deeper in each other than {DEPTH_MAX}")
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        called = schema["$ref"].rpartition("/")[2]
        return example_of(models[called], models, called, name, depth + 1)
    if "anyOf" in schema:
        branches = [branch for branch in schema["anyOf"] if branch.get("type") != "null"]
        is_null = len(branches) < len(schema["anyOf"]) and _key(model, name) in WORDS and _word_of(model, name) is None
        return None if is_null else example_of(branches[0], models, model, name, depth)
    if "properties" in schema:
        return {key: example_of(part, models, model, key, depth) for key, part in schema["properties"].items()}
    word = _word(schema, model, name)
    if word is not None:
        return word
    if schema.get("type") == "array":
        return [example_of(schema["items"], models, model, name, depth)]
    return _value(schema, model, name)


def _key(model: str, name: str) -> str:
    """The key of WORDS for a field: that of the longest noun with which the model's name begins, else the field's."""
    nouns = [key for key in WORDS if key.endswith(f".{name}") and model.startswith(key.partition(".")[0])]
    return max(nouns, key=len, default=name)


def _word_of(model: str, name: str) -> Any:
    return WORDS.get(_key(model, name))


def _word(schema: Schema, model: str, name: str) -> Any:
    """The word for the field if its type fits."""
    word = _word_of(model, name)
    fits = isinstance(word, _TYPES.get(schema.get("type", ""), ())) and "format" not in schema
    allowed = schema.get("enum", [schema.get("const", word)])
    return word if fits and word in allowed else None


def _value(schema: Schema, model: str, name: str) -> Any:
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    if schema.get("default"):
        return schema["default"]
    match schema.get("type"), schema.get("format"):
        case "string", "uuid":
            return UUID_EXAMPLE
        case "string", "date":
            return DAY_EXAMPLE
        case "string", "date-time":
            return INSTANT_EXAMPLE
        case "integer", _:
            return AMOUNT_EXAMPLE if name.endswith("_minor") else 1
        case "boolean", _:
            return False
    raise NoExample(f"{model}.{name}: {NoExample.__doc__}")
