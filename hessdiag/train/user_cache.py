"""Where things are kept between runs of the tool."""

import os
from pathlib import Path


def user_cache() -> Path:
    """Hessdiag's folder in the user's cache, which need not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hessdiag"
