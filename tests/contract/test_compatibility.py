"""FULL_TRANSITIVE on made-up histories: what is allowed reads both ways, what is forbidden is found and named."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from shared.events.compatibility import breaks_in, stem_of
from shared.events.history import HistoryUnreadable, breaks_of, check, files_at, files_now, releases_among

Schema = dict[str, Any]
KINDS: dict[str, Schema] = {
    "text": {"type": "string", "default": ""},
    "amount": {"type": "integer", "minimum": 0, "maximum": 1000, "x-unit": "minor units of the currency beside it"},
    "day": {"type": "string", "format": "date"},
    "choice": {"type": "string", "enum": ["open", "resolved"]},
    "list": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
    "part": {"$ref": "#/$defs/Part"},
    "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
}
VALUES = {
    "text": "a", "amount": 7, "day": "2026-03-31", "choice": "open", "list": ["a"], "part": {"id": "x"}, "maybe": 3,
}  # fmt: skip
PART: Schema = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}


def schema(required: dict[str, str], optional: dict[str, str]) -> Schema:
    return {
        "$id": "recoup:thing.done:1",
        "x-topic": "ar.things",
        "x-key": "account",
        "type": "object",
        "properties": {name: copy.deepcopy(KINDS[kind]) for name, kind in (required | optional).items()},
        "required": sorted(required),
        "$defs": {"Part": copy.deepcopy(PART)},
    }


FIRST = schema(
    {"thing_id": "text", "amount_minor": "amount"},
    {"due_on": "day", "status": "choice", "lines": "list", "head": "part", "paid_minor": "maybe"},
)


def edited(change: Callable[[Schema], Any]) -> Schema:
    made = copy.deepcopy(FIRST)
    change(made)
    return made


def fields(made: Schema) -> Schema:
    return made["properties"]


def renamed(old: str, new: str) -> Callable[[Schema], None]:
    def change(made: Schema) -> None:
        fields(made)[new] = fields(made).pop(old)

    return change


FORBIDDEN: dict[str, tuple[Callable[[Schema], Any], str]] = {
    "a required field is added": (
        lambda s: (fields(s).update(note={"type": "string"}), s["required"].append("note")),
        "required_added",
    ),
    "an optional field becomes required": (lambda s: s["required"].append("due_on"), "required_added"),
    "a required field is removed": (
        lambda s: (fields(s).pop("amount_minor"), s["required"].remove("amount_minor")),
        "required_removed",
    ),
    "a required field becomes optional": (lambda s: s["required"].remove("amount_minor"), "required_removed"),
    "a type changes": (lambda s: fields(s)["thing_id"].update(type="integer"), "type_changed"),
    "a type is narrowed": (
        lambda s: fields(s).update(paid_minor={"type": "integer", "default": None}),
        "type_narrowed",
    ),
    "a type is widened": (
        lambda s: fields(s).update(due_on={"anyOf": [fields(s)["due_on"], {"type": "null"}]}),
        "type_widened",
    ),
    "an enum is narrowed": (lambda s: fields(s)["status"].update(enum=["open"]), "enum_narrowed"),
    "an enum is widened": (lambda s: fields(s)["status"]["enum"].append("lost"), "enum_widened"),
    "an enum comes to a free field": (lambda s: fields(s)["thing_id"].update(enum=["a"]), "enum_narrowed"),
    "a bound is narrowed": (lambda s: fields(s)["amount_minor"].update(maximum=10), "bound_narrowed"),
    "a lower bound is narrowed": (lambda s: fields(s)["amount_minor"].update(minimum=1), "bound_narrowed"),
    "a bound is widened": (lambda s: fields(s)["lines"].update(maxItems=9), "bound_widened"),
    "a bound goes": (lambda s: fields(s)["lines"].pop("maxItems"), "bound_widened"),
    "a pattern comes": (lambda s: fields(s)["thing_id"].update(pattern="^x"), "pattern_changed"),
    "a format goes": (lambda s: fields(s)["due_on"].pop("format"), "format_changed"),
    "the items of a list change": (lambda s: fields(s)["lines"].update(items={"type": "integer"}), "type_changed"),
    "a part gets a required field": (
        lambda s: (
            s["$defs"]["Part"]["properties"].update(name={"type": "string"}),
            s["$defs"]["Part"]["required"].append("name"),
        ),
        "required_added",
    ),
    "a unit changes by its name": (renamed("paid_minor", "paid_cents"), "unit_changed"),
    "a date becomes an instant by its name": (renamed("due_on", "due_at"), "unit_changed"),
    "a unit changes under the same name": (
        lambda s: fields(s)["amount_minor"].update({"x-unit": "major units"}),
        "unit_changed",
    ),
    "a default changes": (lambda s: fields(s)["thing_id"].update(default="none"), "default_changed"),
    "the schema is closed": (lambda s: s.update(additionalProperties=False), "closed"),
    "the topic changes": (lambda s: s.update({"x-topic": "ar.others"}), "topic_changed"),
    "the key changes": (lambda s: s.update({"x-key": "company"}), "key_changed"),
}


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_what_is_forbidden_is_found_and_named(what: str) -> None:
    change, code = FORBIDDEN[what]
    found = breaks_in([FIRST, edited(change)])
    assert code in {one.code for one in found}
    assert all(str(one) for one in found)


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_a_break_is_found_in_either_direction_and_across_versions_in_between(what: str) -> None:
    change, _ = FORBIDDEN[what]
    assert breaks_in([edited(change), FIRST])
    assert breaks_in([FIRST, FIRST, edited(change), edited(change)])


def test_a_field_that_comes_back_as_something_else_breaks_the_first_version() -> None:
    without = edited(lambda s: fields(s).pop("due_on"))
    other = edited(lambda s: fields(s).update(due_on={"type": "integer"}))
    assert breaks_in([FIRST, without]) == [] == breaks_in([without, other])
    (found,) = breaks_in([FIRST, without, other])
    assert (found.where, found.code) == ("due_on", "type_changed")


def test_what_is_said_about_a_field_may_change() -> None:
    said = edited(lambda s: fields(s)["due_on"].update(description="when it is due", title="Due", examples=["x"]))
    assert breaks_in([FIRST, said]) == []


names = st.sampled_from(["note", "hint_minor", "seen_on", "level_days", "words", "place"])
kinds = st.sampled_from(sorted(KINDS))


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Schema, dict[str, str]]]:
    """Versions with optional fields that come and go, each name always of one kind; and the kinds of each."""
    required = draw(st.dictionaries(st.sampled_from(["thing_id", "amount_minor"]), kinds, max_size=2))
    known = draw(st.dictionaries(names, kinds, min_size=1))
    versions = draw(st.lists(st.sets(st.sampled_from(sorted(known))), min_size=2, max_size=5))
    optional = [{name: known[name] for name in sorted(chosen)} for chosen in versions]
    return [(schema(required, each), required | each) for each in optional]


@given(histories(), st.data())
def test_optional_fields_come_and_go_and_every_version_reads_every_other(
    history: list[tuple[Schema, dict[str, str]]], data: st.DataObject
) -> None:
    schemas = [each for each, _ in history]
    assert breaks_in(schemas) == []
    writer, kinds_of = data.draw(st.sampled_from(history))
    left_out = data.draw(st.sets(st.sampled_from(sorted(kinds_of)))) if kinds_of else set()
    event = {n: VALUES[k] for n, k in kinds_of.items() if n in writer["required"] or n not in left_out}
    for reader in schemas:
        Draft202012Validator(reader).validate(event)


@given(histories(), st.sampled_from(sorted(FORBIDDEN)), st.integers(0, 4))
def test_one_forbidden_step_anywhere_is_found(
    history: list[tuple[Schema, dict[str, str]]], what: str, place: int
) -> None:
    versions = [copy.deepcopy(FIRST) | {"properties": fields(each) | fields(FIRST)} for each, _ in history]
    versions = [copy.deepcopy(version) for version in versions]
    for version in versions:
        version["required"] = list(FIRST["required"])
    FORBIDDEN[what][0](versions[place % len(versions)])
    assert breaks_in(versions)


def test_the_unit_at_the_end_of_a_name_is_told_from_its_stem() -> None:
    assert stem_of("amount_minor") == stem_of("amount_cents") == "amount"
    assert stem_of("due_on") == stem_of("due_at") == "due"
    assert stem_of("minor") == "minor"
    assert stem_of("account_id") == "account_id"


def text(made: Schema) -> str:
    import json

    return json.dumps(made)


def test_every_release_counts_and_a_released_type_stays() -> None:
    one = {"thing.done.v1.json": text(FIRST), "thing.lost.v1.json": text(FIRST)}
    two = {"thing.done.v1.json": text(edited(lambda s: fields(s).pop("due_on"))), "thing.lost.v1.json": text(FIRST)}
    later = {"thing.done.v1.json": text(edited(lambda s: fields(s).update(due_on={"type": "integer"})))}
    assert breaks_of([one], two) == {}
    found = breaks_of([one, two], later)
    assert [b.code for b in found["thing.done"]] == ["type_changed"]
    assert [b.code for b in found["thing.lost"]] == ["type_removed"]


def test_a_new_version_of_a_type_is_held_against_the_older_one() -> None:
    newer = text(edited(lambda s: fields(s).update(due_on={"type": "integer"})))
    files = {"thing.done.v1.json": text(FIRST), "thing.done.v2.json": newer}
    assert list(breaks_of([], files)) == ["thing.done"]


def test_releases_are_ordered_by_number_and_other_tags_are_none() -> None:
    assert releases_among(["events-1.10", "events-1.2", "events-x", "v1.0", "events-1.0"]) == [
        "events-1.0", "events-1.2", "events-1.10",
    ]  # fmt: skip


def git(folder: Any, *arguments: str) -> None:
    import subprocess

    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


def test_the_tag_switches_it_on(tmp_path: Any) -> None:
    folder = tmp_path / "docs" / "schemas"
    folder.mkdir(parents=True)
    (folder / "thing.done.v1.json").write_text(text(FIRST))
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "docs")
    git(tmp_path, "commit", "-q", "-m", "first")
    narrowed = {"thing.done.v1.json": text(edited(FORBIDDEN["an enum is narrowed"][0]))}
    is_released, found = check(tmp_path, narrowed)
    assert not is_released and list(found) == ["thing.done"]
    git(tmp_path, "tag", "events-1.0")
    is_released, found = check(tmp_path, narrowed)
    assert is_released and list(found) == ["thing.done"]
    assert check(tmp_path, {"thing.done.v1.json": text(FIRST)}) == (True, {})
    assert set(files_at(tmp_path, "events-1.0")) == {"thing.done.v1.json"}


def test_a_folder_without_history_is_told_and_not_passed(tmp_path: Any) -> None:
    with pytest.raises(HistoryUnreadable, match="tags"):
        check(tmp_path, {})


def test_our_own_contract_does_not_break_what_was_released() -> None:
    """Enforced from the tag on; before it the types are drafts and the command only reports."""
    from tests.tidy.source import ROOT

    is_released, found = check(ROOT, files_now())
    assert not is_released or found == {}
