"""Optional packages: a command that needs one of them refuses before it starts."""

from importlib.util import find_spec

from segtasks.errors import JobError


def require_packages(purpose: str, extra: str, *modules: str) -> None:
    """Refuse work whose packages are not installed.

    Args:
        purpose: What needs them, as the subject of the message.
        extra: The extra of segtasks that brings them, e.g. "train".
        modules: Top-level modules to look for; they are not imported.

    Raises:
        JobError: A module is missing; the message has the command that installs the extra.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise JobError(f"{purpose} needs {', '.join(missing)}; pip install 'segtasks[{extra}]'")
