"""LAPACK in one thread, while XLA has the cores."""

from threadpoolctl import threadpool_limits

one_lapack_thread = threadpool_limits.wrap(limits=1, user_api="blas")
"""Decorator and context manager, for algorithms that test their convergence as they run.

Each test is an eigendecomposition of a small matrix by LAPACK. From about 64 rows on OpenBLAS
shares it among threads, which then spin and take the cores from XLA's products.
"""
