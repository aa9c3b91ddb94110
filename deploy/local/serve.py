"""How the small servers of the local stack listen: loopback only, a known host name only, ended by a signal.

A taken port is one sentence and exit code 1. Nothing of a request is written to the log.
"""

import asyncio
import secrets
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from deploy.local.errors import StackError
from deploy.local.ports import HOST, is_free

STOP_TIMEOUT_S = 5
CONCURRENT_MAX = 256
LOOPBACK_NAMES = ["127.0.0.1", "localhost"]


def only_loopback_names() -> Middleware:
    """Refuses requests under any other host name, so that no page of another site reaches us by its own name."""
    return Middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK_NAMES, www_redirect=False)


def server(app: Starlette, port: int, http: Any = "httptools") -> uvicorn.Server:
    """A server for `app` on the loopback address. Raises StackError when the port is taken."""
    require_free(port)
    config = uvicorn.Config(
        app,
        host=HOST,
        port=port,
        loop="asyncio",
        http=http,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONCURRENT_MAX,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=STOP_TIMEOUT_S,
    )
    return uvicorn.Server(config)


def require_free(port: int) -> None:
    """Raises StackError when something listens on the port."""
    if not is_free(port):
        raise StackError(f"port {port} is taken by another program; stop it or choose another --port")


def run(app: Starlette, port: int, http: Any = "httptools") -> None:
    """Serves until SIGTERM or SIGINT."""
    asyncio.run(server(app, port, http).serve())


def write_private(path: Path, text: str) -> None:
    """Replaces a file whole, readable by its owner only; a crash leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def control_secret(folder: Path) -> str:
    """Secret of the control endpoint, made at the first start and kept in `folder`/control-secret."""
    path = folder / "control-secret"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    return path.read_text(encoding="utf-8").strip()
