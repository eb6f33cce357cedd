from tests.train.compilation_cache import compilation_cache

__all__ = ["compilation_cache"]
