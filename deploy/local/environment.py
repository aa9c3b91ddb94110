"""Makes `.venv` from `requirements.lock`, only when the lock changed. Run by any Python 3.11: standard library only.

`uv` is used when it is on the path, else `python -m venv` and `pip install --require-hashes`. The environment counts as
made only when all of it was installed; an interrupted one is made anew.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / ".installed-lock"
OLDEST = (3, 11)


def main() -> int:
    if sys.version_info < OLDEST:
        return _say(f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, this is {sys.version.split()[0]}: install one "
                    "and run `make PYTHON=/path/to/python3.11 ...`.")  # fmt: skip
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if STAMP.exists() and STAMP.read_text(encoding="ascii") == wanted and _works():
        return 0
    print("Installing the packages of requirements.lock into .venv (once, about a minute) ...", flush=True)
    uv = shutil.which("uv")
    steps = _with_uv(uv) if uv else _with_pip()
    for command, problem in steps:
        if subprocess.run(command, cwd=ROOT, check=False, env=_environment()).returncode != 0:
            return _say(problem)
    STAMP.write_text(wanted, encoding="ascii")
    return 0


def _with_uv(uv: str) -> list[tuple[list[str], str]]:
    make = [uv, "venv", "-q", "--allow-existing", "--python", sys.executable, str(VENV)]
    install = [uv, "pip", "install", "-q", "--python", str(_python()), "--require-hashes", "-r", str(LOCK)]
    return [*([] if _works() else [(make, _NO_VENV)]), (install, _NO_PACKAGES)]


def _with_pip() -> list[tuple[list[str], str]]:
    make = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    quiet = ["-q", "--disable-pip-version-check", "--no-input"]
    install = [str(_python()), "-m", "pip", "install", *quiet, "--require-hashes", "-r", str(LOCK)]
    return [*([] if _has_pip() else [(make, _NO_VENV)]), (install, _NO_PACKAGES)]


_NO_VENV = (
    "The environment .venv could not be made: install your system's venv package (on Debian and Ubuntu: apt-get "
    "install python3-venv), or put uv on the PATH, and run again."
)
_NO_PACKAGES = (
    "The packages could not be installed, see above: if the package index cannot be reached, connect to the network or "
    "set PIP_INDEX_URL (UV_INDEX_URL with uv) to a mirror, and run again."
)


def _python() -> Path:
    return VENV / "bin" / "python"


def _works() -> bool:
    return _runs(["-c", "import sys; sys.exit(sys.version_info < (3, 11))"])


def _has_pip() -> bool:
    return _works() and _runs(["-m", "pip", "--version"])


def _runs(arguments: list[str]) -> bool:
    try:
        return subprocess.run([_python(), *arguments], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _environment() -> dict[str, str]:
    """Without an activated other environment, which uv would otherwise mention."""
    return {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}


def _say(problem: str) -> int:
    print(f"\n{problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
