"""How many held-out rows a certified operating point needs."""

import warnings

import numpy as np
import pytest

from skcascade import CascadeClassifier, Trace, fit_policy, sample_size
from skcascade.exceptions import CascadeWarning
from skcascade.policies import ConfidenceThreshold

COSTS = [1.0, 3.0, 9.0]


def recorded(n, seed=0, skill=(1.0, 0.3, 0.25)):
    """Stages that know how sure they are, and codes; the smaller `skill` the better."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill)))
    right = rng.random((n, len(skill))) < confidence**skill
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % 3)
    return Trace.from_top1(pred, confidence, 3), y


def test_more_is_harder():
    trace, y = recorded(1000)
    size = sample_size(trace, y, cost=COSTS, max_accuracy_drop=0.05, random_state=0)
    assert (size.n_rows[1:] >= size.n_rows[:-1]).all()
    assert (np.diff(size.relative_cost) <= 1e-12).all()
    tighter = sample_size(trace, y, cost=COSTS, max_accuracy_drop=0.03, random_state=0)
    surer = sample_size(
        trace, y, cost=COSTS, max_accuracy_drop=0.05, confidence_level=0.99, random_state=0
    )
    likelier = sample_size(trace, y, cost=COSTS, max_accuracy_drop=0.05, power=0.95, random_state=0)
    for harder in (tighter, surer, likelier):
        assert (harder.n_rows >= size.n_rows).all()


def test_as_many_rows_are_enough():
    """In at least 70 % of 20 draws, of the 80 % asked for."""
    pilot, labels = recorded(3000)
    size = sample_size(pilot, labels, cost=COSTS, max_accuracy_drop=0.04, random_state=0)
    goal = size.relative_cost <= 0.45
    n_rows = int(size.n_rows[goal][0])
    reached = []
    for seed in range(1, 21):
        trace, y = recorded(n_rows, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CascadeWarning)
            policy = fit_policy(
                ConfidenceThreshold(), trace, y, cost=COSTS, max_accuracy_drop=0.04,
                confidence_level=0.9, random_state=0,
            )  # fmt: skip
        # Steps of the sequence are 0.05 apart.
        reached.append(policy.tradeoff_.relative_cost[policy.tradeoff_index_] <= 0.45 + 0.05)
    assert np.mean(reached) >= 0.7


def test_rows_for_a_bound_on_the_cost():
    trace, y = recorded(1000)
    size = sample_size(trace, y, cost=COSTS, max_cost=0.6, random_state=0)
    assert (np.diff(size.relative_cost) >= -1e-12).all()
    assert np.isinf(size.n_rows[size.relative_cost > 0.6]).all()
    assert np.isfinite(size.n_rows[size.relative_cost < 0.4]).all()


def test_rows_of_a_fitted_cascade():
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB

    X, y = load_digits(return_X_y=True)
    members = [("nb", GaussianNB()), ("lr", LogisticRegression(max_iter=5000))]
    cascade = CascadeClassifier(members, cost=[1, 10], random_state=0).fit(X, y)
    size = sample_size(cascade, max_accuracy_drop=0.02)
    assert len(size.n_rows) == len(size.relative_cost) == len(size.accuracy)
    with pytest.raises(ValueError, match="are for a trace"):
        sample_size(cascade, y)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"cost": None}, "A trace needs `y` and `cost`"),
        ({"power": 1.0}, "`power` must lie in"),
        ({"max_cost": 0.5}, "At most one of"),
        ({"confidence_level": 1.0}, "`confidence_level` must lie in"),
    ],
)
def test_bad_input(given, match):
    trace, y = recorded(60)
    with pytest.raises(ValueError, match=match):
        sample_size(trace, y, **{"cost": COSTS, "max_accuracy_drop": 0.05} | given)
