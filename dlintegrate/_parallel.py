"""Parallel tasks whose results come one by one, so that a progress bar can move."""

import joblib


def in_order(tasks, n_jobs, **options):
    """Results of ``joblib.delayed`` tasks, in their order and as early as the backend can.

    Parameters
    ----------
    tasks : iterable
    n_jobs : int or None
    **options
        Of ``joblib.Parallel``.

    Returns
    -------
    iterable
    """
    try:
        parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator", **options)
    except ValueError:  # some backends, such as that of ray, return lists only
        parallel = joblib.Parallel(n_jobs=n_jobs, **options)
    return parallel(tasks)
