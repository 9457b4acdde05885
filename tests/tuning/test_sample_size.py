"""How many held-out rows a certified operating point needs."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skcascade import CascadeClassifier, Trace, fit_policy, sample_size, walk
from skcascade.costs import FixedCost
from skcascade.exceptions import CascadeWarning
from skcascade.policies import ConfidenceThreshold
from skcascade.tuning import _sample_size
from skcascade.tuning._groups import Groups
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._tuning import Tuning

COSTS = [1.0, 3.0, 9.0]


def recorded(n, seed=0, skill=(1.0, 0.3, 0.25), **given):
    """Stages that know how sure they are, and codes; the smaller `skill` the better."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill)))
    right = rng.random((n, len(skill))) < confidence**skill
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % 3)
    return Trace(Trace.from_top1(pred, confidence, 3).proba, **given), y


def simulated(**given):
    trace, y = recorded(given.pop("n", 600), **given.pop("trace", {}))
    return sample_size(trace, y, **{"cost": COSTS, "n_splits": 4, "random_state": 0} | given)


@pytest.fixture(scope="module")
def easy():
    return simulated(n=1000, max_accuracy_drop=0.06)


def test_more_rows_cost_less_and_certify_more(easy):
    assert easy.n_rows[0] == 100 and easy.n_rows[-1] > 1e6
    assert (np.diff(easy.n_rows) > 0).all()
    assert (easy.relative_cost[1:] <= easy.relative_cost[:-1]).all()
    assert np.isinf(easy.relative_cost[0]) and easy.relative_cost[-1] < 0.6
    from_here_on = np.minimum.accumulate(easy.certified[::-1])[::-1]
    assert_array_equal(np.isfinite(easy.relative_cost), from_here_on >= 0.8)


@pytest.mark.parametrize(
    "harder", [{"max_accuracy_drop": 0.04}, {"confidence_level": 0.99}, {"power": 0.95}]
)
def test_what_is_harder_costs_more(easy, harder):
    cost = simulated(**{"n": 1000, "max_accuracy_drop": 0.06} | harder).relative_cost
    assert (cost >= easy.relative_cost).all() and (cost > easy.relative_cost).any()


@pytest.mark.slow
def test_as_many_rows_are_enough():
    """The goal is reached in 80 % of the draws, less two standard errors."""
    pilot, labels = recorded(2000)
    size = sample_size(pilot, labels, cost=COSTS, max_accuracy_drop=0.04, random_state=0)
    n_rows = int(size.n_rows[size.relative_cost <= 0.5][0])
    population, truth = recorded(50_000, seed=99)
    reached = []
    for seed in range(25):
        rows = np.random.default_rng(seed).integers(len(truth), size=n_rows)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CascadeWarning)
            policy = fit_policy(
                ConfidenceThreshold(), population.rows(rows), truth[rows], cost=COSTS,
                max_accuracy_drop=0.04, confidence_level=0.9, random_state=0,
            )  # fmt: skip
        cost = FixedCost(COSTS).fit(3)
        true = cost.relative(cost.path_cost(walk(population, policy).visited)).mean()
        reached.append(policy.certified_ and true <= 0.5)
    assert np.mean(reached) >= 0.8 - 2 * np.sqrt(0.16 / 25)


def test_under_a_bound_on_the_cost_more_rows_are_more_accurate():
    size = simulated(max_cost=0.6)
    assert (np.diff(size.accuracy) >= 0).all() and size.accuracy[-1] > size.accuracy[0]
    assert (size.relative_cost <= 0.6 + 0.02).all()
    assert (size.certified == 1).all()  # a stage that cannot cost more needs no test


def test_what_breaks_the_bound_is_never_certified():
    size = simulated(trace={"skill": (5.0, 5.0, 0.1)}, max_accuracy_drop=0.0)
    assert np.isinf(size.relative_cost).all() and (size.accuracy == -np.inf).all()
    assert size.certified.mean() < 0.1


def test_a_seed_gives_the_same_again():
    given = {"max_accuracy_drop": 0.05, "n": 200, "n_splits": 2}
    one, same = simulated(**given), simulated(**given)
    for values, again in zip(one, same):
        assert_array_equal(values, again)
    other = simulated(**given | {"random_state": 1})
    assert (other.certified != one.certified).any()


def test_no_row_tunes_and_tests(monkeypatch):
    seen, simulate = [], _sample_size._simulate_split

    def spy(tuning, target, level, tuned, population, rng):
        seen.append((set(tuned), set(population)))
        return simulate(tuning, target, level, tuned, population, rng)

    monkeypatch.setattr(_sample_size, "_simulate_split", spy)
    simulated(n=301, max_accuracy_drop=0.1)
    assert len(seen) == 4
    assert all(len(a) == len(b) == 150 and not a & b for a, b in seen)
    assert seen[0][0] != seen[1][0]


def test_tuning_and_test_rows_add_up(monkeypatch):
    """The tuning split is at most its share of the rows, and the test split is all the others."""
    tuned, tested = [], []

    class Spy(_sample_size._Sequence):
        def __init__(self, tuning, target, level, rows, *others):
            tuned.append(len(rows))
            super().__init__(tuning, target, level, rows, *others)

        def certified(self, n_test, rng):
            tested.append((tuned[-1], n_test))
            return super().certified(n_test, rng)

    monkeypatch.setattr(_sample_size, "_Sequence", Spy)
    size = simulated(max_accuracy_drop=0.1, n_splits=1)
    share = _sample_size.TUNING_SHARE
    for n_rows, (n_tuned, n_test) in zip(np.repeat(size.n_rows, _sample_size.N_DRAWS), tested):
        assert n_test == n_rows - round(share * n_rows)
        assert n_tuned <= share * n_rows + 1
        assert n_tuned == 300 or n_tuned > share * n_rows / _sample_size.TUNING_RATIO - 1


def test_clear_cases_are_decided_as_the_exact_test_does(monkeypatch):
    monkeypatch.setattr(_sample_size, "N_ROWS", _sample_size.N_ROWS[:14])
    given = {"max_accuracy_drop": 0.05, "n_splits": 2}
    screened = simulated(**given)
    monkeypatch.setattr(_sample_size, "CLEAR", np.inf)  # every test is exact
    exact = simulated(**given)
    assert 0 < exact.certified.mean() < 1
    for one, other in zip(screened, exact):
        assert_array_equal(one, other)


@pytest.mark.parametrize("given", [{"max_cost": 0.5}, {"max_accuracy_drop": 0.05}])
def test_the_final_wealth_is_close_to_the_largest(given, monkeypatch):
    given = given | {"trace": {"loss": "brier"}, "n_splits": 2}
    monkeypatch.setattr(_sample_size, "N_ROWS", _sample_size.N_ROWS[:12])
    largest = simulated(**given)
    monkeypatch.setattr(_sample_size, "BETTING_ROWS", 0)
    final = simulated(**given)
    assert (final.certified <= largest.certified + 0.2).all()
    both = np.isfinite(final.relative_cost) & np.isfinite(largest.relative_cost)
    assert both.any()
    assert abs(final.accuracy[both] - largest.accuracy[both]).max() < 0.03
    assert abs(final.relative_cost[both] - largest.relative_cost[both]).max() < 0.15


def test_a_bound_in_each_group_is_harder():
    trace, y = recorded(600)
    found = []
    for groups in (None, Groups.of(np.arange(600) % 3)):
        cost = FixedCost(COSTS).fit(3)
        tuning = Tuning(ConfidenceThreshold(), trace, y, cost, random_state=0, groups=groups)
        rng = np.random.RandomState(0)
        found.append(
            _sample_size._simulate(tuning, OperatingPoint(max_accuracy_drop=0.05), 0.1, 3, rng)
        )
    everywhere, in_groups = (np.isfinite(costs[..., 0]).mean() for costs in found)
    assert 0 < in_groups < everywhere


@pytest.mark.parametrize("given", [{"max_accuracy_drop": 0.05}, {"max_cost": 0.5}])
def test_costs_of_the_rows(given):
    trace, y = recorded(400)
    tokens = COSTS * np.random.default_rng(1).lognormal(sigma=0.8, size=(400, 1))
    size = sample_size(Trace(trace.proba, cost=tokens), y, n_splits=2, random_state=0, **given)
    assert size.certified[-1] > 0.5 and np.isfinite(size.relative_cost[-1])


@pytest.mark.parametrize("n", [1, 2, 3, 7])
@pytest.mark.parametrize("given", [{"max_accuracy_drop": 0.05}, {"max_cost": 0.5}])
def test_tiny_pilots(n, given):
    size = simulated(n=n, n_splits=2, **given)
    assert all(len(values) == len(size.n_rows) for values in size)


def test_a_fitted_cascade_is_its_own_pilot():
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB

    X, y = load_digits(return_X_y=True)
    members = [("nb", GaussianNB()), ("lr", LogisticRegression(max_iter=5000))]
    weight = np.ones(len(y))
    weight[::2] = 0.0
    cascade = CascadeClassifier(members, cost=[1, 10], random_state=0).fit(X, y, weight)
    size = sample_size(cascade, max_accuracy_drop=0.02, n_splits=2)
    again = sample_size(cascade, max_accuracy_drop=0.02, n_splits=2)  # by its `random_state`
    assert_array_equal(size.relative_cost, again.relative_cost)
    assert len(size.n_rows) == len(size.relative_cost) == len(size.accuracy)
    with pytest.raises(ValueError, match="are for a trace"):
        sample_size(cascade, y)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"cost": None}, "A trace needs `y` and `cost`"),
        ({"power": 1.0}, "`power` must lie in"),
        ({"n_splits": 0}, "`n_splits` must be 1 or more"),
        ({"max_cost": 0.5}, "At most one of"),
        ({"max_cost": 0.05, "max_accuracy_drop": None}, "cannot be reached"),
        ({"confidence_level": 1.0}, "`confidence_level` must lie in"),
    ],
)
def test_bad_input(given, match):
    trace, y = recorded(60)
    with pytest.raises(ValueError, match=match):
        sample_size(trace, y, **{"cost": COSTS, "max_accuracy_drop": 0.05} | given)
