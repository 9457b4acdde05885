"""What a fitted cascade answers: predictions, walks, records, summary, monitor."""

import copy

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from skcascade import CascadeClassifier, ExitMonitor, Trace, make_cascade, walk
from skcascade.evidence import Live, Stages
from skcascade.policies import ConfidenceThreshold

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
NAMES = np.array(["ash", "oak", "yew"])[Y]
ROWS = np.arange(len(Y))
SPLIT = [(ROWS[:200], ROWS[200:])]


@pytest.fixture(scope="module")
def fitted():
    members = [
        ("tree", DecisionTreeClassifier(max_depth=2)),
        ("nb", GaussianNB()),
        ("forest", RandomForestClassifier(10)),
    ]
    return CascadeClassifier(members, cost=[1, 3, 20], random_state=0).fit(X, NAMES)


# Predictions ------------------------------------------------------------------------------


POINTS = st.one_of(
    st.builds(lambda alpha: {"alpha": alpha}, st.floats(0, 5)),
    st.builds(lambda drop: {"max_accuracy_drop": drop}, st.floats(0, 0.5)),
    st.builds(lambda cost: {"max_cost": cost}, st.floats(0.06, 2)),
)


@settings(deadline=None, max_examples=60)
@given(point=POINTS)
def test_answers_agree_at_every_operating_point(fitted, point):
    cascade = copy.copy(fitted).set_operating_point(**point)
    visited, exits = cascade.decision_path(X), cascade.predict_exit(X)
    proba, staged = cascade.predict_proba(X), np.stack([*cascade.staged_predict_proba(X)], axis=1)
    assert visited.shape == (300, 3)
    last = np.array([np.flatnonzero(path)[-1] for path in visited])
    assert np.array_equal(exits, last)
    assert set(np.flatnonzero(visited.any(axis=0))) <= set(cascade.policy_.stages_)
    assert np.allclose(proba, staged[ROWS, exits], atol=1e-6)
    assert np.array_equal(cascade.predict(X), cascade.classes_[proba.argmax(axis=1)])
    costs = [sum(cost for cost, here in zip([1, 3, 20], path) if here) for path in visited]
    assert np.allclose(cascade.predict_cost(X), costs)


def test_log_proba_and_score(fitted):
    proba = fitted.predict_proba(X)
    with np.errstate(divide="ignore"):
        assert np.array_equal(fitted.predict_log_proba(X), np.log(proba))
    correct = fitted.predict(X) == NAMES
    assert fitted.score(X, NAMES) == correct.mean()
    weight = np.arange(300.0)
    assert np.isclose(fitted.score(X, NAMES, weight), np.average(correct, weights=weight))


@pytest.mark.parametrize("alpha", [0.0, 0.01, 0.05, 0.2])
@pytest.mark.parametrize("kind", ["scikit-learn", "raw net", "TorchClassifier"])
def test_live_walk_is_replay_of_the_trace(kind, alpha, make_member):
    members = [("first", DecisionTreeClassifier(max_depth=3)), ("second", make_member(kind))]
    cascade = CascadeClassifier(members, cost=[1, 5], alpha=alpha, cv=SPLIT, random_state=0)
    cascade.fit(X, NAMES)
    held_out = X[SPLIT[0][1]]
    again = Trace.record(cascade.stages_, held_out)
    assert np.array_equal(again.proba, cascade.trace_.proba)
    replay = walk(cascade.trace_, cascade.policy_)
    assert np.array_equal(cascade.predict_exit(held_out), replay.exit)
    assert np.array_equal(cascade.decision_path(held_out), replay.visited)
    assert np.allclose(cascade.predict_proba(held_out), replay.proba, atol=1e-6)


# Walks ------------------------------------------------------------------------------------


def check_walk(cascade, X):
    """Check that `cascade.walk(X)` is what the five methods give; return it."""
    route = cascade.walk(X)
    for part, answer in {
        "label": cascade.predict(X),
        "proba": cascade.predict_proba(X),
        "exit": cascade.predict_exit(X),
        "visited": cascade.decision_path(X),
        "cost": cascade.predict_cost(X),
    }.items():
        assert getattr(route, part).dtype == answer.dtype, part
        np.testing.assert_array_equal(getattr(route, part), answer, err_msg=part)
    assert np.array_equal(route.classes, cascade.classes_)
    assert route.stage_names == cascade.stage_names_
    return route


@pytest.mark.parametrize("batch_size", [None, 77])
@pytest.mark.parametrize("point", [{}, {"alpha": 0.02}, {"max_cost": 0.3}], ids=str)
def test_walk_is_what_predict_methods_give(fitted, point, batch_size):
    cascade = copy.copy(fitted).set_operating_point(**point).set_params(batch_size=batch_size)
    route = check_walk(cascade, X)
    assert set(route.label) <= {"ash", "oak", "yew"}
    assert (route.label == NAMES).mean() > 0.6
    check_walk(cascade, X[:1])


@pytest.mark.parametrize(
    "labels", [[5, 7, 100], [1.0, 2.0, 3.0], [True, False, True], ["a", "b", "c"]], ids=str
)
def test_walk_with_labels_of_every_kind(labels):
    y = np.array(labels)[Y]
    cascade = make_cascade(GaussianNB(), LogisticRegression(), cost=[1, 5], random_state=0)
    route = check_walk(cascade.fit(X, y), X)
    assert set(route.label) <= set(labels)
    assert route.label.dtype == y.dtype


@pytest.mark.parametrize("label", [None, "unsure"])
def test_walk_with_rejected_samples(rejecting, label):
    cascade, samples, _ = rejecting(reject_label=label)
    route = check_walk(cascade, samples)
    rejected = route.exit == 2
    assert 0.1 < rejected.mean() < 0.9
    assert set(route.label[rejected]) == {label or "reject"}
    assert set(route.label[~rejected]) == {"no", "yes"}
    assert not route.proba[rejected].any()
    # The reject stage costs nothing, what ran before it does.
    assert np.array_equal(route.cost, route.visited[:, :2] @ [1.0, 10.0])
    assert route.stage_names == ["stage0", "stage1", "reject"]


def test_walk_with_rejected_samples_and_numbers(recorded, sure_or_not):
    proba, y = sure_or_not(correct_if_not=0.2, second=0.5)
    cascade = recorded(cv=0.5, reject_cost=0.3, alpha=0.05).fit(proba, y)
    route = check_walk(cascade, proba)
    assert set(route.label) == {0, 1, -1}
    assert np.array_equal(route.label == -1, route.exit == 2)


def test_frame_of_a_walk(fitted):
    cascade = copy.copy(fitted).set_operating_point(alpha=0.01)
    index = [f"row {i}" for i in ROWS]
    route = cascade.walk(X)
    frame = route.to_frame(index)
    assert list(frame) == [
        *("label", "cost", "exit"),
        *("visited tree", "visited nb", "visited forest"),
        *("proba ash", "proba oak", "proba yew"),
    ]
    assert list(frame.index) == index
    assert frame["label"].tolist() == cascade.predict(X).tolist()
    assert frame["cost"].tolist() == cascade.predict_cost(X).tolist()
    names = np.array(["tree", "nb", "forest"])
    assert frame["exit"].tolist() == names[cascade.predict_exit(X)].tolist()
    assert len(set(frame["exit"])) > 1
    visited = frame[["visited tree", "visited nb", "visited forest"]].to_numpy()
    assert np.array_equal(visited, cascade.decision_path(X))
    proba = frame[["proba ash", "proba oak", "proba yew"]].to_numpy()
    assert np.array_equal(proba, cascade.predict_proba(X))
    pd.testing.assert_frame_equal(route.to_frame(), frame.reset_index(drop=True))


def test_frame_of_a_walk_that_rejects(rejecting):
    cascade, samples, _ = rejecting()
    frame = cascade.walk(samples).to_frame()
    assert set(frame["exit"]) <= {"stage0", "stage1", "reject"}
    assert np.array_equal(frame["exit"] == "reject", frame["label"] == "reject")
    assert np.array_equal(frame["visited reject"], frame["exit"] == "reject")


class Spy(GaussianNB):
    """Notes the rows that it is asked for: the first column of X."""

    def predict_proba(self, X):
        if hasattr(self, "asked_"):
            self.asked_.append(X[:, 0].astype(int))
        return super().predict_proba(X)


@pytest.mark.parametrize("batch_size", [None, 70])
def test_walk_runs_each_member_once_for_the_rows_that_visit_it(batch_size):
    numbered = np.column_stack([ROWS, X])
    members = [("a", Spy(var_smoothing=0.1)), ("b", Spy(var_smoothing=1e-3)), ("c", Spy())]
    cascade = CascadeClassifier(
        members, cost=[1, 2, 4], alpha=0.0, random_state=0, batch_size=batch_size
    ).fit(numbered, NAMES)
    cascade.policy_ = ConfidenceThreshold().with_thresholds([0.7, 0.8, -np.inf])
    for name in cascade.members_:
        cascade.members_[name].asked_ = []
    route = cascade.walk(numbered)
    n_blocks = 1 if batch_size is None else -(-300 // batch_size)
    assert route.visited.sum(axis=0)[2] > 0
    for k, name in enumerate(cascade.members_):
        asked = cascade.members_[name].asked_
        assert len(asked) == n_blocks
        assert np.array_equal(np.concatenate(asked), np.flatnonzero(route.visited[:, k]))


# Evidence and records -----------------------------------------------------------------------


def test_evidence_runs_stages_on_demand(fitted):
    evidence = fitted.evidence(X)
    assert isinstance(fitted.stages_, Stages)
    assert isinstance(evidence, Live)
    assert evidence.stages is fitted.stages_
    assert (evidence.n_samples, evidence.n_stages, evidence.n_classes) == (300, 3, 3)
    rows = np.array([3, 5])
    staged = np.stack([*fitted.staged_predict_proba(X)], axis=1)
    assert np.allclose(evidence.observe(1, rows), staged[rows, 1], atol=1e-6)
    # Any policy may walk over it, here one that always uses the last stage.
    last = ConfidenceThreshold().with_thresholds([np.inf] * 3)
    assert set(walk(fitted.evidence(X), last).exit) == {2}


def test_record_has_answers_labels_and_loss(fitted):
    trace = fitted.record(X)
    assert np.array_equal(trace.proba, np.stack([*fitted.staged_predict_proba(X)], axis=1))
    assert np.array_equal(trace.classes, ["ash", "oak", "yew"])
    assert np.array_equal(trace.codes(NAMES), Y)
    assert np.array_equal(trace.losses(Y), trace.proba.argmax(axis=2) != Y[:, np.newaxis])
    assert not trace.has_reject
    assert np.array_equal(walk(trace, fitted.policy_).exit, fitted.predict_exit(X))


def test_record_has_the_loss_of_the_cascade(recorded, sure_or_not):
    proba, y = sure_or_not()
    cascade = recorded(loss=double_loss).fit(proba, y)
    wrong = proba.argmax(axis=2) != y[:, np.newaxis]
    assert np.array_equal(cascade.record(proba).losses(y), 2.0 * wrong)


def double_loss(y, proba):
    return 2.0 * (proba.argmax(axis=1) != y)


@pytest.mark.parametrize("params", [{"reject_cost": 0.3}, {"max_error": 0.05}], ids=str)
def test_record_has_the_loss_of_rejected_samples(recorded, sure_or_not, params):
    proba, y = sure_or_not(correct_if_not=0.2, second=0.8)
    cascade = recorded(cv=0.5, **params).fit(proba, y)
    for point in ({}, {"alpha": 0.05}):
        cascade.set_operating_point(**point)
        assert cascade.reject_cost_ > 0
        trace = cascade.record(proba)
        assert trace.has_reject
        assert trace.n_stages == 3
        np.testing.assert_array_equal(trace.losses(y)[:, 2], cascade.reject_cost_)
        np.testing.assert_array_equal(cascade.trace_.losses(y[:500])[:, 2], cascade.reject_cost_)


def test_record_goes_through_the_cache(tmp_path):
    numbered = np.column_stack([ROWS, X])
    memory = joblib.Memory(tmp_path, verbose=0)
    cascade = make_cascade(Spy(), cost=[1], memory=memory, random_state=0).fit(numbered, NAMES)
    spy = cascade.members_.spy
    spy.asked_ = []
    first = cascade.record(numbered)
    assert len(spy.asked_) == 1
    again = cascade.record(numbered)
    assert len(spy.asked_) == 1
    assert np.array_equal(first.proba, again.proba)
    assert np.array_equal(first.classes, again.classes)
    cascade.record(numbered[:10])
    assert len(spy.asked_) == 2
    cascade.set_params(memory=None).record(numbered)
    assert len(spy.asked_) == 3


def test_evidence_and_records_need_a_fit():
    cascade = make_cascade(GaussianNB())
    for method in (cascade.walk, cascade.evidence, cascade.record):
        with pytest.raises(NotFittedError, match="not fitted yet. Call 'fit'"):
            method(X)
    for name in ("stages_", "tuning_", "trace_", "members_", "stage_names_", "reject_label_"):
        assert not hasattr(cascade, name)


@pytest.mark.parametrize("method", ["walk", "evidence", "record"])
def test_samples_of_another_width_are_refused(fitted, method):
    with pytest.raises(ValueError, match="X has 5 features, but CascadeClassifier is expecting 8"):
        getattr(fitted, method)(X[:, :5])


# Summary and monitor ----------------------------------------------------------------------


def test_summary_of_a_cascade_that_is_worth_it(recorded, sure_or_not):
    proba, y = sure_or_not(correct_if_not=0.5)
    cascade = recorded(cv=0.5).fit(proba, y)
    head, small, large, total, verdict = cascade.summary().splitlines()
    assert head.split() == "stage accuracy cost exits here accuracy of exits".split()
    name, accuracy, cost, rate, accuracy_there = small.split()
    assert (name, cost, accuracy_there) == ("stage0", "0.1000", "1.0000")
    assert 0.7 < float(accuracy) < 0.8
    assert 40 < float(rate.rstrip("%")) < 60
    assert large.split()[:3] == ["stage1", "1.0000", "1.0000"]
    assert float(large.split()[3].rstrip("%")) == pytest.approx(100 - float(rate.rstrip("%")))
    assert total.split() == [
        "cascade",
        "1.0000",
        f"{cascade.tradeoff_.relative_cost[cascade.tradeoff_index_]:.4f}",
    ]
    assert verdict.startswith("Worth a cascade: ")
    assert "'stage1' alone, accuracy +0.0000" in verdict


def test_summary_where_one_stage_is_as_good(recorded, sure_or_not):
    proba, y = sure_or_not(correct_if_sure=1.0, correct_if_not=1.0)
    lines = recorded().fit(proba, y).summary().splitlines()
    assert lines[-1].startswith("One stage alone is as good")
    assert "'stage0' serves" in lines[-1]
    assert lines[1].split()[3:] == ["100.0%", "1.0000"]
    assert lines[2].split()[3:] == ["not", "used"]
    proba, y = sure_or_not(correct_if_sure=0.4)
    text = recorded().fit(proba, y).summary()
    assert "One stage alone is as good" in text
    assert "'stage1' serves" in text


def test_monitor_expects_the_rates_of_held_out_rows(recorded, sure_or_not):
    proba, y = sure_or_not(correct_if_not=0.5)
    cascade = recorded(cv=0.5).fit(proba, y)
    monitor = cascade.monitor()
    assert isinstance(monitor, ExitMonitor)
    assert np.array_equal(monitor.walk(cascade.evidence(proba)).exit, cascade.predict_exit(proba))
    assert not monitor.alarm
    assert cascade.monitor(proba[:100], false_alarm_rate=0.1).false_alarm_rate == 0.1


def test_monitor_needs_rows_where_other_members_are_deployed(recorded, sure_or_not):
    proba, y = sure_or_not(correct_if_not=0.5)
    cascade = recorded(cv=3).fit(proba, y)
    with pytest.raises(ValueError, match="members fitted on other folds: give `X`"):
        cascade.monitor()
    assert isinstance(cascade.monitor(proba), ExitMonitor)
