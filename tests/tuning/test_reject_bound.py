"""Bounds on the error rate of answered samples, and on the share of rejected ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade import Trace, walk
from skcascade.costs import FixedCost
from skcascade.exceptions import CascadeWarning
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold
from skcascade.tuning._fit_policy import add_free_stage
from skcascade.tuning._groups import Groups
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._reject_bound import REJECT_COSTS, RejectBound, _Candidate
from skcascade.tuning._tuning import Tuning

ALPHA = OperatingPoint(alpha=1e-3)


class Always(BaseExitPolicy):
    """Every sample exits at the first stage."""

    def exit_mask(self, stage, proba):
        return np.ones(len(proba), dtype=bool)


def draw(n, seed=0):
    """Two stages that know how sure they are, of three classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    sure = rng.uniform(0.4, 1, size=(n, 2)) ** np.array([1.0, 0.4])
    right = rng.uniform(size=(n, 2)) < sure
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % 3)
    return Trace.from_top1(pred, sure, 3), y


def tuning_of(n, seed=0, loss=None, policy=None, **params):
    trace, y = draw(n, seed)
    trace = Trace(trace.proba, loss=loss).with_reject(0.5)
    cost = add_free_stage(FixedCost([1, 5]).fit(2))
    policy = ConfidenceThreshold() if policy is None else policy
    return Tuning(policy, trace, y, cost, random_state=0, **params)


def measured(policy, trace, y):
    """Share rejected, and error rate of the others."""
    route = walk(trace, policy)
    rejected = route.exit == trace.n_stages - 1
    return rejected.mean(), (route.proba.argmax(axis=1) != y)[~rejected].mean()


def truth(policy):
    trace, y = draw(100_000, 99)
    return measured(policy, trace.with_reject(0.5), y)


@pytest.fixture(scope="module")
def tuning():
    return tuning_of(800)


# Estimated --------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [None, "brier"])
def test_max_error(loss):
    tuning = tuning_of(800, loss=loss)
    shares = []
    for max_error in (0.03, 0.08):
        chosen = RejectBound(max_error=max_error).choose(tuning, ALPHA)
        share, error = measured(chosen.policy, chosen.tuning.trace, tuning.y)
        assert error <= max_error + 1e-9
        assert chosen.tuning.reject_cost == chosen.tuning.trace.loss.reject_cost
        assert not chosen.policy.certified_
        shares.append(share)
    assert 0.05 < shares[1] < shares[0] < 1
    assert tuning.reject_cost == 0.5  # not changed


def test_max_error_is_that_of_the_curve_too(tuning):
    _, _, search, index = RejectBound(max_error=0.05).choose(tuning, ALPHA)
    _, accuracy = search.curve.answered_by([0, 1])
    assert 1 - accuracy[index] <= 0.05 + 1e-9


def test_max_error_counts_errors_whatever_the_loss(tuning):
    tenth = tuning_of(800, loss=lambda y, proba: 0.1 * (proba.argmax(axis=1) != y))
    chosen = RejectBound(max_error=0.04).choose(tenth, ALPHA)
    _, error = measured(chosen.policy, chosen.tuning.trace, tenth.y)
    assert error <= 0.04 + 1e-9
    assert chosen.tuning.reject_cost < 0.1


def test_reject_rate():
    tuning = tuning_of(800)
    errors = []
    for rate in (0.0, 0.2, 0.4):
        chosen = RejectBound(reject_rate=rate).choose(tuning, ALPHA)
        share, error = measured(chosen.policy, chosen.tuning.trace, tuning.y)
        assert share <= rate + 1e-9
        errors.append(error * (1 - share))
    assert errors[0] > errors[1] > errors[2]


def table(*rows):
    """What :meth:`_Candidate.tune` gives for reject costs: shares rejected, errors, losses."""
    found = iter(rows)
    return lambda *args: _Candidate(None, None, 0, *next(found), cost=0.0)


SHARES = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), min_size=30, max_size=30
)


@settings(max_examples=100, deadline=None)
@given(SHARES, st.floats(0, 1), st.booleans())
def test_never_a_candidate_that_was_seen_to_break_it(rows, bound, errors):
    """Whatever the errors are as a function of the reject cost, the best one is chosen."""
    bound = RejectBound(max_error=bound) if errors else RejectBound(reject_rate=bound)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Candidate, "tune", table(*rows))
        best, tried = bound._scan(None, ALPHA, bound._rank)
    assert len(tried) <= 14
    kept = [c for c in tried if (c.error if errors else c.rejected) <= bound[not errors] + 1e-12]
    if kept:
        assert best in kept
        value = (lambda c: c.rejected) if errors else (lambda c: c.loss)
        assert value(best) == min(map(value, kept))
    else:
        breaks = (lambda c: c.error) if errors else (lambda c: c.rejected)
        assert breaks(best) == min(map(breaks, tried))


def test_costs_between_those_of_the_grid_are_tried():
    tuning = tuning_of(800)
    bounds = [RejectBound(max_error=e) for e in (0.03, 0.05, 0.07)]
    chosen = [bound.choose(tuning, ALPHA).tuning.reject_cost for bound in bounds]
    assert chosen == sorted(chosen)
    assert not set(chosen) <= set(REJECT_COSTS)


def test_warns_where_all_samples_are_rejected():
    trace = Trace(np.tile([0.5, 0.3, 0.2], (100, 2, 1)))
    y = np.random.default_rng(0).integers(3, size=100)
    cost = add_free_stage(FixedCost([1, 5]).fit(2))
    tuning = Tuning(ConfidenceThreshold(), trace.with_reject(0.5), y, cost)
    with pytest.warns(CascadeWarning, match="`max_error`=0.01 cannot be kept.*all samples are"):
        chosen = RejectBound(max_error=0.01).choose(tuning, OperatingPoint(alpha=0.1))
    assert (walk(trace.with_reject(0.5), chosen.policy).exit == 2).all()


def test_warns_where_too_many_are_rejected():
    # So high a cost weight that rejecting all is best, whatever the reject cost.
    tuning = tuning_of(200)
    with pytest.warns(CascadeWarning, match="`reject_rate`=0.1 cannot be kept.*Allow more rej"):
        RejectBound(reject_rate=0.1).choose(tuning, OperatingPoint(alpha=50.0))


def test_a_policy_that_leaves_nothing_to_tune():
    tuning = tuning_of(200, policy=Always())
    chosen = RejectBound(reject_rate=0.1).choose(tuning, ALPHA)
    assert measured(chosen.policy, chosen.tuning.trace, tuning.y)[0] <= 0.1


def test_weights_count():
    tuning = tuning_of(600)
    weight = np.where(np.arange(600) % 3 == 0, 3.0, 0.5)
    weighted = Tuning(
        tuning.policy, tuning.trace, tuning.y, tuning.cost, weight, random_state=0
    )  # fmt: skip
    chosen = RejectBound(max_error=0.05).choose(weighted, ALPHA)
    route = walk(chosen.tuning.trace, chosen.policy)
    answered = route.exit < 2
    wrong = route.proba.argmax(axis=1) != tuning.y
    assert np.average(wrong[answered], weights=weight[answered]) <= 0.05 + 1e-9


# Certified --------------------------------------------------------------------------------


def test_certified_max_error():
    tuning = tuning_of(2000, seed=3)
    chosen = RejectBound(max_error=0.08).choose(tuning, ALPHA, 0.9)
    assert chosen.policy.certified_
    share, error = truth(chosen.policy)
    assert error <= 0.08
    assert share < 0.9
    assert len(chosen.search.test_rows) == 1400
    # On the rows that it was tested on, the error rate is below the bound by a margin.
    tested = chosen.search.test_rows
    _, error = measured(chosen.policy, chosen.tuning.trace.rows(tested), tuning.y[tested])
    assert error < 0.08


def test_certified_reject_rate():
    chosen = RejectBound(reject_rate=0.2).choose(tuning_of(2000, seed=3), ALPHA, 0.9)
    assert chosen.policy.certified_
    assert 0.01 < truth(chosen.policy)[0] <= 0.2


def test_a_policy_that_cannot_reject_needs_no_test():
    chosen = RejectBound(reject_rate=0.0).choose(tuning_of(200), ALPHA, 0.999)
    assert chosen.policy.certified_
    assert truth(chosen.policy)[0] == 0


def test_what_cannot_be_certified():
    rows = "at least 2302 answered test rows, all of them right. Allow more errors"
    with pytest.warns(CascadeWarning, match=f"`max_error`=0.001 could not be certified.*{rows}"):
        chosen = RejectBound(max_error=0.001).choose(tuning_of(300), ALPHA, 0.9)
    assert not chosen.policy.certified_


def test_a_share_of_rejected_samples_that_cannot_be_certified():
    # So high a cost weight that rejecting all is best, whatever the reject cost.
    rows = "at least 22 test rows, none of them rejected. Allow more rejections"
    with pytest.warns(CascadeWarning, match=f"`reject_rate`=0.1 could not be certified.*{rows}"):
        chosen = RejectBound(reject_rate=0.1).choose(
            tuning_of(200), OperatingPoint(alpha=50.0), 0.9
        )
    assert not chosen.policy.certified_


def test_every_group_is_tested():
    trace, y = draw(2000, 5)
    group = np.arange(2000) % 4 == 0
    y = np.where(group & (np.arange(2000) % 8 == 0), (y + 1) % 3, y)  # half of them are wrong
    cost = add_free_stage(FixedCost([1, 5]).fit(2))
    params = trace.with_reject(0.5), y, cost
    bound = RejectBound(max_error=0.3)
    together = Tuning(ConfidenceThreshold(), *params, random_state=0)
    assert bound.choose(together, ALPHA, 0.9).policy.certified_
    split = Tuning(ConfidenceThreshold(), *params, random_state=0, groups=Groups.of(group.tolist()))
    with pytest.warns(CascadeWarning, match=r"The smallest group, True, has \d+ of 1400 test rows"):
        assert not bound.choose(split, ALPHA, 0.9).policy.certified_


def test_a_group_without_rows_is_not_certified():
    tuning = tuning_of(1000)
    tuning.groups = Groups(["seen", "never"], np.zeros(1000, dtype=int))
    with pytest.warns(CascadeWarning, match="The smallest group, 'never', has 0 of 700 test rows"):
        RejectBound(max_error=0.2).choose(tuning, ALPHA, 0.9)


def test_order_is_fixed_by_the_rows_tuned_on():
    """Labels of the test rows do not change which candidates are tested, and in which order."""
    tuning = tuning_of(1000)
    search = tuning.search(True)
    y = tuning.y.copy()
    y[search.test_rows] = np.random.default_rng(0).permutation(y[search.test_rows])
    other = Tuning(tuning.policy, tuning.trace, y, tuning.cost, random_state=0)
    orders = []
    for one in (tuning, other):
        seen = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                RejectBound, "_sequence", _spied(RejectBound._sequence, seen)
            )  # fmt: skip
            patch.setattr("skcascade.tuning._reject_bound.warn", lambda message: None)
            RejectBound(max_error=0.08).choose(one, ALPHA, 0.9)
        orders.append(seen)
    assert orders[0] == orders[1]
    assert len(orders[0]) > 2


def _spied(method, seen):
    def spy(*args):
        order = method(*args)
        seen.extend(c.tuning.reject_cost for c in order)
        return order

    return spy
