"""Newton's method with shorter steps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade.stats._newton import minimize_convex


@given(st.integers(0, 999), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_a_quadratic_takes_one_step(seed, n):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, n))
    hessian, middle = root @ root.T + np.eye(n), rng.normal(size=n)
    found = minimize_convex(
        lambda x: (x - middle) @ hessian @ (x - middle) / 2,
        lambda x: (hessian @ (x - middle), hessian),
        np.zeros(n),
        1e-12,
    )
    np.testing.assert_allclose(found, middle, atol=1e-6)


@pytest.mark.parametrize("start", [-3.0, 0.0, 3.0])
def test_full_steps_would_go_ever_further(start):
    """Newton's method alone diverges on log(cosh) from |x| > 1.09."""
    seen = []

    def loss(x):
        seen.append(x[0])
        return float(np.log(np.cosh(x[0])))

    def derivatives(x):
        return np.tanh(x), 1 / np.cosh(x)[:, np.newaxis] ** 2

    assert minimize_convex(loss, derivatives, np.array([start]), 1e-12) == pytest.approx(
        0, abs=1e-5
    )
    assert np.isfinite(seen).all()
