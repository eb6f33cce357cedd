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


def provenance(
    command: str,
    *,
    compiler_self_test: Any = None,
    devices: int = 1,
    precision: str = "highest",
) -> dict[str, Any]:
    """What a reader needs to make the same run again.

    Args:
        command: the command line.
        compiler_self_test: its outcome; None where there was none.
        devices: how many shared the work.
        precision: of matrix products, where there is a choice: CPUs know the highest alone.
    """
    return {
        "command": command,
        "created": utc_now().isoformat(timespec="seconds"),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
        "platform": f"{platform.system()} {platform.machine()}",
        **_device(devices, precision),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "compiler_self_test": compiler_self_test,
        "git_revision": _git_revision(),
    }


def with_resumption(document: Mapping[str, Any], command: str, **how: Any) -> dict[str, Any]:
    """A run's or a study's document, with where it was gone on with at the end of `resumed`.

    `how` is what `provenance` takes besides.
    """
    return {**document, "resumed": [*document.get("resumed", ()), provenance(command, **how)]}


def _device(devices: int, precision: str) -> dict[str, Any]:
    """What computes; nothing where JAX, which reading records does without, was not loaded."""
    jax = sys.modules.get("jax")
    if jax is None:
        return {}
    backend = jax.default_backend()
    return {
        "backend": backend,
        "device": jax.devices()[0].device_kind,
        "devices": devices,
        "precision": str(jax.numpy.zeros(()).dtype),
        "matmul_precision": "highest" if backend == "cpu" else precision,
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
