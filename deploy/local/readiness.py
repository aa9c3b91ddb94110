"""Waits until processes serve: `/readyz` answers 200, or a port is open. Every wait has a bound and watches the
process.
"""

import time
import urllib.error
import urllib.request
from collections.abc import Sequence

from deploy.local.errors import StackError
from deploy.local.ports import wait_open
from deploy.local.processes import Child

READY_TIMEOUT_S = 90.0
OPEN_TIMEOUT_S = 30.0
REQUEST_TIMEOUT_S = 5.0
PAUSE_S = 0.1


def wait_ready(waiting: Sequence[tuple[Child, str]], timeout_s: float = READY_TIMEOUT_S) -> None:
    """Returns when every `url/readyz` answers 200; StackError names the first that ended or was not ready in time."""
    deadline = time.monotonic() + timeout_s
    for child, url in waiting:
        answer = ready_answer(url)
        while answer is not None:
            if child.poll() is not None:
                raise _ended(child)
            if time.monotonic() > deadline:
                raise StackError(
                    f"{child.name} was not ready within {timeout_s:.0f} s ({url}/readyz says: {answer}); see "
                    f"{child.log_path}, whose last lines follow.\n{child.log_tail()}"
                )
            time.sleep(PAUSE_S)
            answer = ready_answer(url)


def ready_answer(url: str) -> str | None:
    """None when ready, else what `/readyz` says (at most 300 characters)."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=REQUEST_TIMEOUT_S):
            return None
    except urllib.error.HTTPError as problem:
        return problem.read(300).decode(errors="replace").strip()
    except OSError as problem:
        return str(problem)


def wait_listening(child: Child, port: int) -> None:
    """Returns when the process accepts connections on the port."""
    if wait_open(port, [child], OPEN_TIMEOUT_S):
        return
    if child.poll() is not None:
        raise _ended(child)
    raise StackError(
        f"{child.name} did not open port {port} within {OPEN_TIMEOUT_S:.0f} s; see {child.log_path}, whose last lines "
        f"follow.\n{child.log_tail()}"
    )


def _ended(child: Child) -> StackError:
    return StackError(
        f"{child.name} ended with code {child.poll()} before it was ready; see {child.log_path}, whose last lines "
        f"follow.\n{child.log_tail()}"
    )
