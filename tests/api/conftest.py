"""Programs of these tests are kept for their session, and not in the user's cache."""

from tests.train.compilation_cache import compilation_cache

__all__ = ["compilation_cache"]
