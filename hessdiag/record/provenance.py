"""Where a number came from: versions, machine, revision, command."""

import datetime
import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

PACKAGES = ("hessdiag", "jax", "jaxlib", "optax", "flax", "jumanji", "numpy", "scipy")


def utc_now() -> datetime.datetime:
    """The time, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def provenance(command: str) -> dict[str, Any]:
    """What a reader needs to make the same run again.

    Args:
        command: the command line.
    """
    return {
        "command": command,
        "created": utc_now().isoformat(timespec="seconds"),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
        "platform": f"{platform.system()} {platform.machine()}",
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "precision": str(jax.numpy.zeros(()).dtype),
        "matmul_precision": _matmul_precision(),
        "git_revision": _git_revision(),
    }


def with_resumption(document: Mapping[str, Any], command: str) -> dict[str, Any]:
    """A run's or a study's document, with where it was gone on with at the end of `resumed`.

    Args:
        document: what `config.json` or `study.json` holds.
        command: the command line.
    """
    return {**document, "resumed": [*document.get("resumed", ()), provenance(command)]}


def _matmul_precision() -> str:
    """Full float32 on CPU whatever is asked for; elsewhere only Hessian products ask for it."""
    if jax.default_backend() == "cpu":
        return "highest"
    return "highest in Hessian-vector products, the backend's default elsewhere"


def _git_revision() -> str | None:
    """The revision of hessdiag's own checkout, marked if its code has uncommitted changes."""
    package = Path(__file__).resolve().parents[1]
    try:
        revision = _git(package, "rev-parse", "--short=12", "HEAD")
        changes = _git(package, "status", "--porcelain", "--", str(package))
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{revision}-dirty" if changes else revision


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()
