"""Sizes, docstrings and banned calls. A line may carry `# tidy: allow <reason>` where the rule does not fit."""

import ast
import re
from pathlib import Path

from tests.tidy.source import Source, sources

FILE_LINES_MAX, FUNCTION_LINES_MAX = 500, 60
BANNED = {
    "datetime.datetime.now": "time is passed in",
    "datetime.datetime.utcnow": "time is passed in",
    "datetime.datetime.today": "time is passed in",
    "datetime.date.today": "time is passed in",
    "time.time": "time is passed in",
    "uuid.uuid1": "ids are derived",
    "uuid.uuid4": "ids are derived",
    "random": "nothing is drawn",
    "numpy.random": "nothing is drawn",
}
"""Full names that may not even be mentioned, whatever an import calls them, and everything below them."""
BANNED_CALLS = {
    "float": "money is integers, ratios are Decimal or int",
    "print": "logs are structured, commands use typer.echo",
}
"""Names that may stand in an annotation but not be called."""
ALLOWED = {"sample": ("random.Random",)}
"""The seeded generator draws from the generator that its seed made, and from nothing else."""
BANNED_NAMES = ("utils", "helpers", "manager", "base", "common", "misc")


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def functions(source: Source) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [n for n in ast.walk(source.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_files_stay_small() -> None:
    assert {s.name: len(s.lines) for s in sources() if len(s.lines) > FILE_LINES_MAX} == {}


def test_functions_stay_small() -> None:
    long = {
        f"{s.name}:{f.lineno} {f.name}": f.end_lineno - f.lineno + 1
        for s in sources()
        for f in functions(s)
        if f.end_lineno is not None and f.end_lineno - f.lineno + 1 > FUNCTION_LINES_MAX
    }
    assert long == {}


def test_every_file_says_what_it_owns() -> None:
    silent = [s.name for s in sources() if s.text.strip() and not ast.get_docstring(s.tree)]
    assert silent == []


def full_names(tree: ast.Module) -> dict[str, str]:
    """What the file's own names stand for: `dt` -> `datetime.datetime` after `from datetime import datetime as dt`."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {
                a.asname or a.name.partition(".")[0]: a.name if a.asname else a.name.partition(".")[0]
                for a in node.names
            }
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return found


def banned_in(source: Source) -> list[str]:
    """Every mention of a banned name and every banned call, but for lines with a skip mark."""
    names, allowed, found = full_names(source.tree), ALLOWED.get(source.path.parts[0], ()), {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name | ast.Attribute):
            head, dot, rest = dotted(node).partition(".")
            said = [names.get(head, "") + dot + rest]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            said = [f"{module}.{a.name}" if module else a.name for a in node.names]
        else:
            continue
        for name in said:
            reason = next(
                (why for banned, why in BANNED.items() if name == banned or name.startswith(banned + ".")), ""
            )
            if reason and not name.startswith(allowed or ("~",)) and not source.allowed(node.lineno):
                found[node.lineno] = f"{source.name}:{node.lineno} {name}: {reason}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and (reason := BANNED_CALLS.get(dotted(node.func))):
            is_command = reason == BANNED_CALLS["print"] and source.path.name == "__main__.py"
            if not is_command and not source.allowed(node.lineno):
                found[node.lineno] = f"{source.name}:{node.lineno} {dotted(node.func)}(): {reason}"
    return [found[line] for line in sorted(found)]


def test_services_audit_and_sample_draw_nothing_and_read_no_clock() -> None:
    assert [offence for source in sources("services", "audit", "sample") for offence in banned_in(source)] == []


SMUGGLED = """
from datetime import date, datetime as dt
from random import choice
from uuid import uuid4
import random as dice, time as clock, datetime
import numpy as np

ids = list(map(uuid4, range(3)))
now = dt.now()
day = date.today
also = datetime.datetime.now(None)
at = clock.time()
amount = float("1.5")
noise = np.random.rand()
print(choice([1]))
"""


def test_a_banned_name_is_found_under_any_other_name() -> None:
    found = banned_in(Source(Path("services/x/domain/y.py"), SMUGGLED, ast.parse(SMUGGLED)))
    assert [int(offence.split(":")[1].split()[0]) for offence in found] == [3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15]
    generator = "from random import Random, choice\nx = Random(1)\n"
    (one,) = banned_in(Source(Path("sample/y.py"), generator, ast.parse(generator)))
    assert "random.choice" in one


LOOPS = ast.For | ast.AsyncFor | ast.While | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def looped_statements(source: Source) -> list[str]:
    """Awaits of the database that run once per round of any loop."""
    methods, found = {"fetch", "fetchrow", "fetchval", "execute", "executemany"}, {}
    for loop in (node for node in ast.walk(source.tree) if isinstance(node, LOOPS)):
        for node in repeated(loop):
            if isinstance(node, ast.Await) and isinstance(node.value, ast.Call):
                name = dotted(node.value.func)
                if name.split(".")[-1] in methods and "." in name and not source.allowed(node.lineno):
                    found[node.lineno] = f"{source.name}:{node.lineno} {name}"
    return list(found.values())


def repeated(loop: ast.AST) -> list[ast.AST]:
    """Everything of a loop that runs in each of its rounds; what it goes over is asked for once."""
    if isinstance(loop, ast.For | ast.AsyncFor):
        parts: list[ast.AST] = [*loop.body]
    elif isinstance(loop, ast.While):
        parts = [loop.test, *loop.body]
    else:
        parts = [part for part in ast.iter_child_nodes(loop) if not isinstance(part, ast.comprehension)]
        parts += [part for comprehension in loop.generators for part in comprehension.ifs]
    return [node for part in parts for node in ast.walk(part)]


def test_no_statement_runs_in_a_loop() -> None:
    """An await on the database inside a loop is a query per row."""
    assert [found for source in sources("services") for found in looped_statements(source)] == []


LOOPED = """
async def f(db, rows):
    for row in await db.fetch("once"):
        await db.execute("each")
    while await db.fetchval("each"):
        await db.execute("each")
    found = [await db.fetchrow("each") for row in await db.fetch("once")]
"""


def test_every_kind_of_loop_is_looked_into() -> None:
    found = looped_statements(Source(Path("services/x/store.py"), LOOPED, ast.parse(LOOPED)))
    assert sorted(int(offence.split(":")[1].split()[0]) for offence in found) == [4, 5, 6, 7]


def test_no_exception_is_swallowed() -> None:
    found = []
    for source in sources():
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ExceptHandler) and all(isinstance(s, ast.Pass) for s in node.body):
                if not source.allowed(node.lineno):
                    found.append(f"{source.name}:{node.lineno}")
    assert found == []


def test_names_are_nouns_of_the_field() -> None:
    assert [s.name for s in sources() if s.path.stem in BANNED_NAMES] == []


def test_nothing_is_left_to_do() -> None:
    left = re.compile(r"#\s*(TODO|FIXME|HACK)")
    assert [f"{s.name}:{n}" for s in sources() for n, line in enumerate(s.lines, 1) if left.search(line)] == []
