"""The project's own source files, parsed once for every rule."""

import ast
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("services", "shared", "audit", "deploy", "sample")
SKIP_MARK = "tidy: allow"


@dataclass(frozen=True)
class Source:
    """One file: its path below the root, its lines, its tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.path.as_posix()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def allowed(self, line: int) -> bool:
        """Whether a line carries a skip mark with its reason: `# tidy: allow <reason>`."""
        text = self.lines[line - 1]
        return SKIP_MARK in text and len(text.split(SKIP_MARK, 1)[1].strip()) > 5


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Python files that git tracks or would track, below the folders."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    wanted = [Path(name) for name in listed if Path(name).parts[0] in (folders or CODE) and (ROOT / name).exists()]
    return tuple(Source(path, text, ast.parse(text)) for path in wanted for text in [(ROOT / path).read_text()])


def imports(tree: ast.Module) -> list[tuple[str, int]]:
    """Every imported module with its line; imports for type checkers only do not couple and are left out."""
    typed = {id(node) for block in ast.walk(tree) if _for_type_checkers(block) for node in ast.walk(block)}
    found = []
    for node in ast.walk(tree):
        if id(node) in typed:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return found


def _for_type_checkers(node: ast.AST) -> bool:
    """`if TYPE_CHECKING:` without an else; what an else imports is imported at run time."""
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
        and not node.orelse
    )
