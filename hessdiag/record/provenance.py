"""Where a number came from: versions, machine, revision, command."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGES = ("hessdiag", "jax", "jaxlib", "optax", "flax", "jumanji", "numpy", "scipy")


def utc_now() -> datetime.datetime:
    """The time, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def provenance(command: str, *, compiler_self_test: Any = None) -> dict[str, Any]:
    """What a reader needs to make the same run again; no self-test is None."""
    return {
        "command": command,
        "created": utc_now().isoformat(timespec="seconds"),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
        "platform": f"{platform.system()} {platform.machine()}",
        **_device(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "compiler_self_test": compiler_self_test,
        "git_revision": _git_revision(),
    }


def with_resumption(document: Mapping[str, Any], command: str) -> dict[str, Any]:
    """A run's or a study's document, with where it was gone on with at the end of `resumed`."""
    return {**document, "resumed": [*document.get("resumed", ()), provenance(command)]}


def _device() -> dict[str, str]:
    """What computes; nothing where JAX, which reading records does without, was not loaded.

    On CPU products are full float32 whatever is asked for; elsewhere only Hessian products ask.
    """
    jax = sys.modules.get("jax")
    if jax is None:
        return {}
    backend = jax.default_backend()
    elsewhere = "highest in Hessian-vector products, the backend's default elsewhere"
    return {
        "backend": backend,
        "device": jax.devices()[0].device_kind,
        "precision": str(jax.numpy.zeros(()).dtype),
        "matmul_precision": "highest" if backend == "cpu" else elsewhere,
    }


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
