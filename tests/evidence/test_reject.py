"""The reject stage: its loss, which samples exit there, and their label."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from skcascade import CascadeClassifier, Trace, fit_policy, tradeoff_curve, walk
from skcascade.costs import FixedCost
from skcascade.evidence._reject import add_reject_label, decode_labels
from skcascade.exceptions import CascadeWarning
from skcascade.policies import ConfidenceThreshold, Reinforce, WeightedBinary
from skcascade.tuning._fit_policy import add_free_stage


def recorded(n=600, seed=0, skill=(1.5, 0.6)):
    """Two stages that know how sure they are: their confidence is how often they are correct."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    confidence = rng.uniform(0.4, 1, size=(n, len(skill))) ** np.array(skill)
    right = rng.random((n, len(skill))) < confidence
    pred = np.where(right, y[:, np.newaxis], (y[:, np.newaxis] + 1) % 3)
    return Trace.from_top1(pred, confidence, 3), y


@pytest.fixture(scope="module")
def data():
    X, y = make_classification(
        1500, 8, n_informative=5, n_classes=3, flip_y=0.02, class_sep=1.2, random_state=0
    )
    return X[:900], y[:900], X[900:], y[900:]


def make(**params):
    members = [("nb", GaussianNB()), ("kn", KNeighborsClassifier(15))]
    return CascadeClassifier(members, cost=[1, 10], cv=5, random_state=0, **params)


# The pieces -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "label", "decoded"),
    [
        ([3, 5], None, [3, -1]),
        (["a", "b"], None, ["a", "reject"]),
        (["a", "b"], "?", ["a", "?"]),
        ([0.5, 1.5], 9, [0.5, 9.0]),
        (np.array([1, 2], np.uint8), None, [1, -1]),
        ([False, True], None, [0, -1]),
        (np.array(["a", "b"], dtype=object), 7, ["a", 7]),
    ],
)
def test_labels(classes, label, decoded):
    proba = np.array([[0.7, 0.3], [0.0, 0.0]])
    labels = add_reject_label(np.asarray(classes), label)
    assert decode_labels(proba, labels).tolist() == decoded
    assert decode_labels(proba[:1], labels).dtype == decode_labels(proba, labels).dtype
    assert decode_labels(proba, np.asarray(classes)).tolist() == [classes[0]] * 2


def test_the_label_of_rejected_dates_is_no_date():
    labels = add_reject_label(np.array(["2020-01-01", "2021-01-01"], dtype="M8[D]"))
    assert labels.dtype == "M8[D]"
    assert np.isnat(decode_labels(np.zeros((1, 2)), labels)).all()


@pytest.mark.parametrize(
    ("classes", "label", "match"),
    [
        ([1, 2], "none", "`reject_label`, 'none', is a string, .* Choose a number"),
        (["a", "b"], -1, "`reject_label`, -1, is a number, .* Choose a string"),
        ([1, 2], 0.5, "0.5, is no whole number as the labels in `y` are"),
        ([1, 2], 2, "`reject_label`, 2, is a label in `y`"),
        ([-1, 2], None, "`reject_label`, -1, is a label in `y`"),
    ],
)
def test_labels_that_cannot_be_used(classes, label, match):
    with pytest.raises(ValueError, match=match):
        add_reject_label(np.asarray(classes), label)


def test_a_stage_that_costs_nothing():
    cost = add_free_stage(FixedCost([1, 4]).fit(2))
    np.testing.assert_array_equal(cost.edge_costs_, [[1, 4, 0], [np.nan, 4, 0], [np.nan] * 2 + [0]])
    visited = np.array([[True, False, True], [True, True, True], [False, False, True]])
    assert cost.path_cost(visited).tolist() == [1, 5, 0]
    assert cost.relative(4.0) == 1  # of the last stage that costs anything


# Recorded answers -------------------------------------------------------------------------


def test_trace():
    trace, y = recorded(50)
    rejected = trace.with_reject(0.25)
    assert rejected.n_stages == 3
    assert rejected.has_reject
    assert not rejected.proba[:, 2].any()
    np.testing.assert_array_equal(rejected.losses(y)[:, :2], trace.losses(y))
    np.testing.assert_array_equal(rejected.losses(y)[:, 2], 0.25)
    assert rejected.rows(slice(5)).has_reject
    again = rejected.with_reject(0.1)
    assert again.n_stages == 3
    np.testing.assert_array_equal(again.losses(y)[:, 2], 0.1)
    np.testing.assert_array_equal(rejected.losses(y)[:, 2], 0.25)
    by_array = Trace(trace.proba, loss=trace.losses(y)).with_reject(0.25).with_reject(0.1)
    np.testing.assert_array_equal(by_array.losses(y), again.losses(y))
    for bad in (-0.1, 1.0):
        with pytest.raises(ValueError, match="`reject_cost` must lie"):
            trace.with_reject(bad)


def test_samples_are_rejected_whose_answer_is_more_likely_wrong_than_that():
    """Chow's rule, where the confidence is the probability of being correct."""
    trace, y = recorded(20_000)
    policy = fit_policy(
        ConfidenceThreshold(), trace.with_reject(0.3), y, cost=[1, 10], alpha=1e-4,
        random_state=0,
    )  # fmt: skip
    assert policy.stages_[-1] == 2
    assert policy.thresholds_[1] == pytest.approx(0.7, abs=0.05)


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=10, deadline=None)
def test_the_more_abstaining_costs_the_rarer_it_is(seed):
    trace, y = recorded(300, seed)
    shares = []
    for reject_cost in (0.01, 0.1, 0.3, 0.6):
        rejected = trace.with_reject(reject_cost)
        (policy,) = ConfidenceThreshold().fit_alphas(
            rejected, y, add_free_stage(FixedCost([1, 10]).fit(2)), [0.05]
        )
        shares.append((walk(rejected, policy).exit == 2).mean())
    assert (np.diff(shares) <= 1e-9).all()


@pytest.mark.parametrize(
    "policy",
    [
        ConfidenceThreshold("margin"),
        ConfidenceThreshold(tuning="per_stage"),
        WeightedBinary(random_state=0),
        WeightedBinary(skip=True, random_state=0),
        Reinforce(random_state=0),
    ],
    ids=str,
)
def test_every_policy(policy):
    trace, y = recorded(400)
    rejected = trace.with_reject(0.2)
    fitted = fit_policy(policy, rejected, y, cost=[1, 10], alpha=0.02, random_state=0)
    route = walk(rejected, fitted)
    answered = route.exit < 2
    assert 0.2 < answered.mean() < 1
    wrong = rejected.losses(y)[np.arange(400), route.exit][answered].mean()
    assert wrong < trace.losses(y)[:, 1].mean()


def test_a_drop_is_measured_against_the_best_point():
    """Else rejecting all samples would beat an inaccurate reference, at no cost at all."""
    trace, y = recorded(1000, skill=(3.0, 2.0))
    fitted = fit_policy(
        ConfidenceThreshold(), trace.with_reject(0.3), y, cost=[1, 10], random_state=0
    )
    curve = fitted.tradeoff_
    assert curve.reference == 1
    assert curve.stage_accuracy[2] > curve.stage_accuracy[1]  # rejecting loses less
    assert curve.reference_accuracy == curve.accuracy.max()
    assert (walk(trace.with_reject(0.3), fitted).exit < 2).mean() > 0.2


def test_certified():
    trace, y = recorded(4000)
    rejected = trace.with_reject(0.2)
    fitted = fit_policy(
        ConfidenceThreshold(), rejected, y, cost=[1, 10], max_accuracy_drop=0.08,
        confidence_level=0.9, random_state=0,
    )  # fmt: skip
    assert fitted.certified_
    best, at = fitted.tradeoff_.accuracy.max(), fitted.tradeoff_index_
    assert best - 0.08 < fitted.tradeoff_.accuracy[at] < best
    assert fitted.tradeoff_.relative_cost[at] < 1


# The cascade ------------------------------------------------------------------------------


def test_reject_cost(data):
    X, y, X_new, y_new = data
    cascade = make(reject_cost=0.2).fit(X, y)
    assert cascade.stage_names_ == ["nb", "kn", "reject"]
    assert cascade.reject_cost_ == 0.2
    assert list(cascade.members_) == ["nb", "kn"]
    route = cascade.walk(X_new)
    label, proba, exits = route.label, route.proba, route.exit
    rejected = exits == 2
    assert 0.02 < rejected.mean() < 0.9
    np.testing.assert_array_equal(label == -1, rejected)
    np.testing.assert_array_equal(proba.any(axis=1), ~rejected)
    plain = make().fit(X, y)
    assert plain.reject_cost_ is None
    assert (label == y_new)[~rejected].mean() > plain.score(X_new, y_new)
    assert cascade.score(X_new, y_new) == (label == y_new).mean()
    assert np.isneginf(cascade.predict_log_proba(X_new)[rejected]).all()
    # A rejected sample incurs the cost of the stages before; rejecting it costs nothing.
    np.testing.assert_array_equal(route.cost, route.visited[:, :2] @ [1.0, 10.0])
    assert "reject" in cascade.summary()


def test_max_error(data):
    X, y, X_new, y_new = data
    errors, shares = [], []
    for max_error in (0.02, 0.1):
        cascade = make(max_error=max_error).fit(X, y)
        point = cascade.tradeoff_index_
        _, accuracy = cascade.tradeoff_.answered_by([0, 1])
        assert 1 - accuracy[point] <= max_error
        label = cascade.predict(X_new)
        errors.append((label != y_new)[label != -1].mean())
        shares.append((label != -1).mean())
    assert errors[0] < errors[1] < 0.13
    assert 0.05 < shares[0] < shares[1]


def test_max_error_follows_the_operating_point(data):
    X, y, *_ = data
    cascade = make(max_error=0.05).fit(X, y)
    before = cascade.reject_cost_
    cascade.set_operating_point(max_cost=0.2)
    fresh = make(max_error=0.05, max_cost=0.2).fit(X, y)
    assert cascade.reject_cost_ == fresh.reject_cost_
    assert cascade.policy_.stages_ == fresh.policy_.stages_
    np.testing.assert_array_equal(cascade.policy_.thresholds_, fresh.policy_.thresholds_)
    assert cascade.set_operating_point().reject_cost_ == before
    without = make(max_error=0.05, store_trace=False).fit(X, y)
    assert without.reject_cost_ == before
    with pytest.raises(ValueError, match="store_trace"):
        without.set_operating_point(max_cost=0.2)


def test_all_samples_are_rejected_where_all_answers_are_wrong():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 2)), rng.integers(2, size=300)
    members = [("nb", GaussianNB()), ("lr", LogisticRegression())]
    cascade = CascadeClassifier(members, cost=[1, 2], max_error=1e-6, random_state=0)
    with pytest.warns(CascadeWarning, match="all samples are rejected"):
        cascade.fit(X, y)
    assert (cascade.predict(X) == -1).all()


def test_labels_of_a_cascade(data):
    X, y, X_new, _ = data
    names = np.array(["ant", "bee", "cat"])[y]
    label = make(reject_cost=0.1).fit(X, names).predict(X_new)
    assert set(label) == {"ant", "bee", "cat", "reject"}
    label = make(reject_cost=0.1, reject_label="dunno").fit(X, names).predict(X_new)
    assert set(label) == {"ant", "bee", "cat", "dunno"}


def test_live_walk_is_the_replay(data):
    X, y, X_new, _ = data
    cascade = make(reject_cost=0.15).fit(X, y)
    trace = cascade.record(X_new)
    assert trace.has_reject
    np.testing.assert_array_equal(walk(trace, cascade.policy_).exit, cascade.predict_exit(X_new))
    staged = list(cascade.staged_predict_proba(X_new))
    assert not staged[2].any()


def test_clone_pickle_and_curve(data):
    X, y, X_new, y_new = data
    cascade = make(reject_cost=0.15).fit(X, y)
    same = pickle.loads(pickle.dumps(cascade))
    np.testing.assert_array_equal(same.predict(X_new), cascade.predict(X_new))
    assert clone(cascade).reject_cost == 0.15
    curve = tradeoff_curve(cascade, X_new, y_new, points=[0.01, 0.1], scoring=None)
    assert curve.has_reject
    label = cascade.predict(X_new)
    expected = np.where(label == -1, 1 - 0.15, label == y_new).mean()
    assert curve.chosen[1] == pytest.approx(expected)
    scored = tradeoff_curve(cascade, X_new, y_new, points=[0.01], scoring="accuracy")
    assert scored.chosen[1] == pytest.approx((label == y_new).mean())


def test_memory_keeps_both_kinds_apart(data, tmp_path):
    X, y, X_new, _ = data
    plain = make(memory=str(tmp_path)).fit(X, y)
    rejected = make(memory=str(tmp_path), reject_cost=0.2).fit(X, y)
    assert plain.trace_.n_stages == 2
    assert rejected.trace_.n_stages == 3
    np.testing.assert_array_equal(
        rejected.predict(X_new), make(reject_cost=0.2).fit(X, y).predict(X_new)
    )


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"reject_cost": 0.1, "max_error": 0.1}, "At most one of `reject_cost`, `max_error` and"),
        ({"reject_cost": 1.0}, "'reject_cost' parameter .* must be"),
        ({"max_error": 0.0}, "'max_error' parameter .* must be"),
        ({"reject_cost": 0.1, "reject_label": 2}, "`reject_label`, 2, is a label in `y`"),
        ({"reject_rate": 1.0}, "'reject_rate' parameter .* must be"),
        ({"max_error": 0.1, "confidence_level": 0.9, "cv": 3}, "needs held-out answers"),
    ],
)
def test_bad_input(data, params, match):
    X, y, *_ = data
    with pytest.raises(ValueError, match=match):
        make().set_params(**params).fit(X, y)


def test_no_member_may_have_its_name(data):
    X, y, *_ = data
    with pytest.raises(ValueError, match="none of them 'reject'"):
        CascadeClassifier([("reject", GaussianNB()), ("b", GaussianNB())]).fit(X, y)
