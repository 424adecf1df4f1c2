"""Quantiles of distributions, from SciPy where it is installed."""


def normal_quantile(share):
    """The number below which a standard normal one lies that often."""
    return float(_distributions().norm.ppf(share))


def student_quantile(share, degrees_of_freedom):
    """The same for Student's t distribution."""
    return float(_distributions().t.ppf(share, degrees_of_freedom))


def _distributions():
    try:
        from scipy import stats
    except ImportError as error:
        raise ImportError(
            "Intervals need SciPy, which has the distributions: pip install "
            "keras-curvature[uncertainty]"
        ) from error
    return stats
