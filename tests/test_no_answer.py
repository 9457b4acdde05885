"""The exit "no answer": what it loses, who leaves there, and what is said of them."""

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
from skcascade._no_answer import NoAnswerLoss, labels_of, with_free_stage
from skcascade._trace import zero_one_loss
from skcascade.costs import FixedCost
from skcascade.exceptions import CascadeWarning
from skcascade.policies import ConfidenceThreshold, Reinforce, WeightedBinary


def recorded(n=600, seed=0, skill=(1.5, 0.6)):
    """Two stages that know how sure they are: their confidence is how often they are right."""
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


@given(st.integers(0, 12), st.floats(0, 0.99), st.integers(0, 2**31 - 1))
@settings(max_examples=60, deadline=None)
def test_loss(n_silent, reject_cost, seed):
    rng = np.random.default_rng(seed)
    proba, y = rng.dirichlet(np.ones(3), size=12), rng.integers(3, size=12)
    silent = rng.permutation(12) < n_silent
    lost = NoAnswerLoss(zero_one_loss, reject_cost)(y, np.where(silent[:, np.newaxis], 0, proba))
    np.testing.assert_array_equal(lost, np.where(silent, reject_cost, zero_one_loss(y, proba)))


def test_the_loss_of_answers_never_sees_silence():
    def log_loss(y, proba):
        return -np.log(proba[np.arange(len(y)), y])

    proba = np.array([[0.5, 0.5], [0.0, 0.0]])
    lost = NoAnswerLoss(log_loss, 0.3)(np.array([0, 1]), proba)
    np.testing.assert_allclose(lost, [np.log(2), 0.3])


@pytest.mark.parametrize(
    ("classes", "label", "said"),
    [
        ([3, 5], None, [3, -1]),
        (["a", "b"], None, ["a", "no answer"]),
        (["a", "b"], "?", ["a", "?"]),
        ([0.5, 1.5], 9, [0.5, 9.0]),
        (np.array([1, 2], np.uint8), None, [1, -1]),
        ([False, True], None, [0, -1]),
    ],
)
def test_labels(classes, label, said):
    proba = np.array([[0.7, 0.3], [0.0, 0.0]])
    assert labels_of(proba, np.asarray(classes), label).tolist() == said


def test_a_stage_that_costs_nothing():
    cost = with_free_stage(FixedCost([1, 4]).fit(2))
    np.testing.assert_array_equal(cost.edge_costs_, [[1, 4, 0], [np.nan, 4, 0], [np.nan] * 2 + [0]])
    visited = np.array([[True, False, True], [True, True, True], [False, False, True]])
    assert cost.path_cost(visited).tolist() == [1, 5, 0]
    assert cost.relative(4.0) == 1  # of the last stage that costs anything


# Recorded answers -------------------------------------------------------------------------


def test_trace():
    trace, y = recorded(50)
    silent = trace.with_no_answer(0.25)
    assert silent.n_stages == 3
    assert silent.no_answer
    assert not silent.proba[:, 2].any()
    np.testing.assert_array_equal(silent.losses(y)[:, :2], trace.losses(y))
    np.testing.assert_array_equal(silent.losses(y)[:, 2], 0.25)
    assert silent.rows(slice(5)).no_answer
    again = silent.with_no_answer(0.1)
    assert again.n_stages == 3
    np.testing.assert_array_equal(again.losses(y)[:, 2], 0.1)
    np.testing.assert_array_equal(silent.losses(y)[:, 2], 0.25)
    by_array = Trace(trace.proba, loss=trace.losses(y)).with_no_answer(0.25).with_no_answer(0.1)
    np.testing.assert_array_equal(by_array.losses(y), again.losses(y))
    for bad in (-0.1, 1.0):
        with pytest.raises(ValueError, match="`reject_cost` must lie"):
            trace.with_no_answer(bad)


def test_those_are_silent_whose_answer_is_likelier_wrong():
    """Chow's rule, where confidence is what it says."""
    trace, y = recorded(20_000)
    policy = fit_policy(
        ConfidenceThreshold(), trace.with_no_answer(0.3), y, cost=[1, 10], alpha=1e-4,
        random_state=0,
    )  # fmt: skip
    assert policy.stages_[-1] == 2
    assert policy.thresholds_[1] == pytest.approx(0.7, abs=0.05)


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=10, deadline=None)
def test_a_dearer_silence_is_rarer(seed):
    trace, y = recorded(300, seed)
    shares = []
    for reject_cost in (0.01, 0.1, 0.3, 0.6):
        silent = trace.with_no_answer(reject_cost)
        (policy,) = ConfidenceThreshold().fit_path(
            silent, y, with_free_stage(FixedCost([1, 10]).fit(2)), [0.05]
        )
        shares.append((walk(silent, policy).exit == 2).mean())
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
    silent = trace.with_no_answer(0.2)
    done = fit_policy(policy, silent, y, cost=[1, 10], alpha=0.02, random_state=0)
    way = walk(silent, done)
    answered = way.exit < 2
    assert 0.2 < answered.mean() < 1
    wrong = silent.losses(y)[np.arange(400), way.exit][answered].mean()
    assert wrong < trace.losses(y)[:, 1].mean()


def test_a_drop_is_measured_against_the_best_point():
    """Else "nobody gets an answer" would beat an inaccurate reference, at no cost at all."""
    trace, y = recorded(1000, skill=(3.0, 2.0))
    done = fit_policy(
        ConfidenceThreshold(), trace.with_no_answer(0.3), y, cost=[1, 10], random_state=0
    )
    curve = done.tradeoff_
    assert curve.reference == 1
    assert curve.stage_accuracy[2] > curve.stage_accuracy[1]  # silence loses less than it does
    assert curve.reference_accuracy == curve.accuracy.max()
    assert (walk(trace.with_no_answer(0.3), done).exit < 2).mean() > 0.2


def test_certified():
    trace, y = recorded(4000)
    silent = trace.with_no_answer(0.2)
    done = fit_policy(
        ConfidenceThreshold(), silent, y, cost=[1, 10], max_accuracy_drop=0.02,
        confidence_level=0.9, random_state=0,
    )  # fmt: skip
    best, at = done.tradeoff_.accuracy.max(), done.tradeoff_index_
    assert done.tradeoff_.accuracy[at] > best - 0.03
    assert done.tradeoff_.relative_cost[at] < 1


# The cascade ------------------------------------------------------------------------------


def test_reject_cost(data):
    X, y, X_new, y_new = data
    cascade = make(reject_cost=0.2).fit(X, y)
    assert cascade.stage_names_ == ["nb", "kn", "no answer"]
    assert cascade.reject_cost_ == 0.2
    assert list(cascade.members_) == ["nb", "kn"]
    said, proba, exits = (
        cascade.predict(X_new),
        cascade.predict_proba(X_new),
        cascade.predict_exit(X_new),
    )
    silent = exits == 2
    assert 0.02 < silent.mean() < 0.9
    np.testing.assert_array_equal(said == -1, silent)
    np.testing.assert_array_equal(proba.any(axis=1), ~silent)
    plain = make().fit(X, y)
    assert plain.reject_cost_ is None
    assert (said == y_new)[~silent].mean() > plain.score(X_new, y_new)
    assert cascade.score(X_new, y_new) == (said == y_new).mean()
    assert np.isneginf(cascade.predict_log_proba(X_new)[silent]).all()
    # Silence costs what was run before it, and nothing itself.
    paid = cascade.predict_cost(X_new)
    np.testing.assert_array_equal(paid, cascade.decision_path(X_new)[:, :2] @ [1.0, 10.0])
    assert "no answer" in cascade.summary()


def test_max_error(data):
    X, y, X_new, y_new = data
    errors, shares = [], []
    for max_error in (0.02, 0.1):
        cascade = make(max_error=max_error).fit(X, y)
        point = cascade.tradeoff_index_
        _, accuracy = cascade.tradeoff_.among([0, 1])
        assert 1 - accuracy[point] <= max_error
        said = cascade.predict(X_new)
        errors.append((said != y_new)[said != -1].mean())
        shares.append((said != -1).mean())
    assert errors[0] < errors[1] < 0.13
    assert 0.05 < shares[0] < shares[1]


def test_max_error_follows_the_dial(data):
    X, y, *_ = data
    cascade = make(max_error=0.05).fit(X, y)
    before = cascade.reject_cost_
    cascade.set_operating_point(max_cost=0.2)
    fresh = make(max_error=0.05, max_cost=0.2).fit(X, y)
    assert cascade.reject_cost_ == fresh.reject_cost_
    assert cascade.policy_.stages_ == fresh.policy_.stages_
    np.testing.assert_array_equal(cascade.policy_.thresholds_, fresh.policy_.thresholds_)
    assert cascade.set_operating_point().reject_cost_ == before
    del cascade.trace_
    with pytest.raises(ValueError, match="trace was dropped"):
        cascade.set_operating_point(max_cost=0.2)


def test_nobody_gets_an_answer_where_all_are_wrong():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 2)), rng.integers(2, size=300)
    members = [("nb", GaussianNB()), ("lr", LogisticRegression())]
    cascade = CascadeClassifier(members, cost=[1, 2], max_error=1e-6, random_state=0)
    with pytest.warns(CascadeWarning, match="no sample gets an answer"):
        cascade.fit(X, y)
    assert (cascade.predict(X) == -1).all()


def test_labels_of_a_cascade(data):
    X, y, X_new, _ = data
    names = np.array(["ant", "bee", "cat"])[y]
    said = make(reject_cost=0.1).fit(X, names).predict(X_new)
    assert set(said) == {"ant", "bee", "cat", "no answer"}
    said = make(reject_cost=0.1, reject_label="dunno").fit(X, names).predict(X_new)
    assert set(said) == {"ant", "bee", "cat", "dunno"}


def test_live_walk_is_the_replay(data):
    X, y, X_new, _ = data
    cascade = make(reject_cost=0.15).fit(X, y)
    trace = Trace.record(cascade._stages, X_new)
    assert trace.no_answer
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
    assert curve.no_answer
    said = cascade.predict(X_new)
    gained = np.where(said == -1, 1 - 0.15, said == y_new).mean()
    assert curve.chosen[1] == pytest.approx(gained)
    scored = tradeoff_curve(cascade, X_new, y_new, points=[0.01], scoring="accuracy")
    assert scored.chosen[1] == pytest.approx((said == y_new).mean())


def test_memory_keeps_both_kinds_apart(data, tmp_path):
    X, y, X_new, _ = data
    plain = make(memory=str(tmp_path)).fit(X, y)
    silent = make(memory=str(tmp_path), reject_cost=0.2).fit(X, y)
    assert plain.trace_.n_stages == 2
    assert silent.trace_.n_stages == 3
    np.testing.assert_array_equal(
        silent.predict(X_new), make(reject_cost=0.2).fit(X, y).predict(X_new)
    )


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"reject_cost": 0.1, "max_error": 0.1}, "At most one of `reject_cost` and `max_error`"),
        ({"reject_cost": 1.0}, "'reject_cost' parameter .* must be"),
        ({"max_error": 0.0}, "'max_error' parameter .* must be"),
        ({"reject_cost": 0.1, "reject_label": 2}, "`reject_label`, 2, is a label in `y`"),
        ({"max_error": 0.1, "confidence_level": 0.9, "cv": 0.2}, "not `max_error`"),
    ],
)
def test_bad_input(data, params, match):
    X, y, *_ = data
    with pytest.raises(ValueError, match=match):
        make().set_params(**params).fit(X, y)


def test_no_member_may_bear_its_name(data):
    X, y, *_ = data
    with pytest.raises(ValueError, match="none of them 'no answer'"):
        CascadeClassifier([("no answer", GaussianNB()), ("b", GaussianNB())]).fit(X, y)
