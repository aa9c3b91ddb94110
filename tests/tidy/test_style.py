"""Sizes, docstrings and banned calls. A line may carry `# tidy: allow <reason>` where the rule does not fit."""

import ast
import re

from tests.tidy.source import Source, sources

FILE_LINES_MAX, FUNCTION_LINES_MAX = 500, 60
BANNED_CALLS = {
    "float": "money is integers, ratios are Decimal or int",
    "datetime.now": "time is passed in",
    "datetime.utcnow": "time is passed in",
    "date.today": "time is passed in",
    "datetime.today": "time is passed in",
    "uuid4": "ids are derived",
    "uuid.uuid4": "ids are derived",
    "time.time": "time is passed in",
    "print": "logs are structured, commands use typer.echo",
}
BANNED_MODULES = {"random": "nothing is drawn"}
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


def test_services_draw_nothing_and_read_no_clock() -> None:
    found = []
    for source in sources("services"):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and (reason := BANNED_CALLS.get(dotted(node.func))):
                if not source.allowed(node.lineno):
                    found.append(f"{source.name}:{node.lineno} {dotted(node.func)}(): {reason}")
            if isinstance(node, ast.Import):
                found += [
                    f"{source.name}:{node.lineno} {a.name}: {BANNED_MODULES[a.name]}"
                    for a in node.names
                    if a.name in BANNED_MODULES and not source.allowed(node.lineno)
                ]
    assert found == []


def test_no_statement_runs_in_a_loop() -> None:
    """An await on the database inside `for` is a query per row."""
    methods = {"fetch", "fetchrow", "fetchval", "execute", "executemany"}
    found = []
    for source in sources("services"):
        for loop in ast.walk(source.tree):
            if not isinstance(loop, ast.For | ast.AsyncFor):
                continue
            for node in (node for part in loop.body for node in ast.walk(part)):
                if isinstance(node, ast.Await) and isinstance(node.value, ast.Call):
                    name = dotted(node.value.func)
                    if name.split(".")[-1] in methods and "." in name and not source.allowed(node.lineno):
                        found.append(f"{source.name}:{node.lineno} {name}")
    assert found == []


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
