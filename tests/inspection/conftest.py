"""Cascades that the plots are drawn of."""

import matplotlib.pyplot as plt
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from skcascade import CascadeClassifier
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold, Reinforce, WeightedBinary

# Test modules make the same split: they draw the other half.
X, _, Y, _ = train_test_split(
    *load_digits(return_X_y=True), test_size=0.5, stratify=load_digits().target, random_state=0
)


class Sure(BaseExitPolicy):
    """A user's own: it states only which rows exit."""

    def exit_mask(self, stage, proba):
        return proba[:, stage].max(axis=1) >= 0.9


POLICIES = {
    "thresholds": ConfidenceThreshold("margin"),
    "rules": WeightedBinary(skip=True),
    "heads": Reinforce(fine_tune_members=False),
    "own": Sure(),
}


@pytest.fixture(scope="session")
def members():
    """Named members, unfitted."""
    return [
        ("nb", GaussianNB()),
        ("linear", LogisticRegression(C=0.01, solver="newton-cholesky")),
        ("neighbors", KNeighborsClassifier(3)),
    ]


@pytest.fixture(scope="session")
def fit(members):
    """Function that fits a cascade of the last members."""

    def fit_cascade(policy=None, n_members=3, **params):
        cascade = CascadeClassifier(
            members[-n_members:],
            policy=policy,
            cost=[1, 4, 40][-n_members:],
            alpha=0.02,
            random_state=0,
            **params,
        )
        return cascade.fit(X[:500], Y[:500])

    return fit_cascade


@pytest.fixture(scope="session")
def cascade(fit):
    """Three members and thresholds."""
    return fit()


@pytest.fixture(scope="session")
def rejecting(fit):
    """The same, and the reject stage."""
    return fit(reject_cost=0.05)


@pytest.fixture(scope="session")
def by_policy(fit):
    """Two members, with each policy."""
    return {name: fit(policy, 2, cv=3) for name, policy in POLICIES.items()}


@pytest.fixture(scope="session")
def draw():
    """Function that draws for real: warnings of the layout are errors."""
    return lambda figure: figure.canvas.draw()


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")
