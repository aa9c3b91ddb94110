"""Whether a part of the system is in this checkout."""

import importlib.util


def exists(module: str) -> bool:
    """True when the module can be imported; it is not imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
