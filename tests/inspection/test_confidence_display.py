"""The plot of accuracy against the score of each stage."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcascade import Trace
from skcascade.inspection import ConfidenceDisplay
from skcascade.inspection._confidence_display import _stage
from skcascade.policies import BaseExitPolicy

_, X_TEST, _, Y_TEST = train_test_split(
    *load_digits(return_X_y=True), test_size=0.5, stratify=load_digits().target, random_state=0
)
POLICIES = ["thresholds", "rules", "heads", "own"]


@pytest.mark.parametrize("policy", POLICIES)
def test_confidence_of_every_policy(by_policy, policy, draw):
    cascade = by_policy[policy]
    display = ConfidenceDisplay.from_estimator(cascade, X_TEST, Y_TEST)
    visited, exits = cascade.decision_path(X_TEST), cascade.predict_exit(X_TEST)
    reached = np.flatnonzero(visited.any(axis=0))
    assert [stage.name for stage in display.stages] == [cascade.stage_names_[k] for k in reached]
    for k, stage, line, threshold in zip(
        reached, display.stages, display.lines_, display.thresholds_
    ):
        assert np.array_equal(line.get_xdata(), stage.score)
        assert np.array_equal(line.get_ydata(), stage.accuracy)
        assert stage.share.sum() == pytest.approx(1)
        assert stage.exiting.sum() == pytest.approx((exits == k).sum() / visited[:, k].sum())
        assert (stage.exiting <= stage.share + 1e-12).all()
        assert (threshold is None) == (not np.isfinite(stage.threshold))
    assert display.stages[-1].exiting == pytest.approx(display.stages[-1].share)
    draw(display.figure_)


def test_thresholds_are_drawn_where_there_are_some(by_policy):
    fitted = by_policy["thresholds"].policy_
    display = ConfidenceDisplay.from_estimator(by_policy["thresholds"])
    first = fitted.stages_[0]
    assert display.thresholds_[0].get_xdata()[0] == fitted.thresholds_[first]
    for policy in ("rules", "own"):
        assert ConfidenceDisplay.from_estimator(by_policy[policy]).thresholds_[0] is None


def test_labels(by_policy):
    display = ConfidenceDisplay.from_estimator(by_policy["thresholds"])
    bars = [bar.get_label() for bar in display.bars_[0]]
    assert bars == ["share of the rows", "of them exit here"]
    assert display.thresholds_[0].get_label() == "threshold"


def test_the_reject_stage_has_no_panel(rejecting, draw):
    display = ConfidenceDisplay.from_estimator(rejecting, X_TEST, Y_TEST)
    assert "reject" not in [stage.name for stage in display.stages]
    assert np.isfinite(display.stages[-1].threshold)  # there is a stage after it
    draw(display.figure_)


def test_confidence_on_axes_of_the_caller(cascade):
    n = len(ConfidenceDisplay.from_estimator(cascade, n_bins=1).stages)
    figure, axes = plt.subplots(n, squeeze=False)
    display = ConfidenceDisplay.from_estimator(cascade, n_bins=3, ax=axes)
    assert list(display.ax_) == list(axes.ravel()) and display.figure_ is figure
    with pytest.raises(ValueError, match=rf"`ax` must hold {n} axes"):
        ConfidenceDisplay.from_estimator(cascade, ax=[axes[0, 0]] * (n + 1))
    with pytest.raises(ValueError, match="`n_bins` must be 1 or more, got 0"):
        ConfidenceDisplay.from_estimator(cascade, n_bins=0)
    with pytest.raises(ValueError, match="`stages` is empty"):
        ConfidenceDisplay([])


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.7, 0.9, 1.0]), st.booleans()), min_size=1),
    st.integers(1, 12),
)
@settings(max_examples=100, deadline=None)
def test_bins_take_in_every_row_once(rows, n_bins):
    score, right = np.array(rows, dtype=float).T
    stage = _stage("a", score, right, right == 1, np.nan, n_bins)
    assert 1 <= len(stage.score) <= n_bins
    assert (np.diff(stage.score) > 0).all()
    assert stage.share.sum() == pytest.approx(1)
    assert stage.exiting.sum() == pytest.approx(right.mean())
    low, high = stage.interval.T
    assert (low <= stage.accuracy + 1e-12).all() and (stage.accuracy <= high + 1e-12).all()
    assert (stage.interval >= 0).all() and (stage.interval <= 1).all()


# Hooks of policies ---------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_scores_at_the_threshold_decide(by_policy, policy):
    trace, fitted = by_policy[policy].trace_, by_policy[policy].policy_
    for k in fitted.stages_ or range(2):
        seen = trace.proba[:, : k + 1]
        score, threshold = fitted.exit_score(k, seen), fitted.exit_threshold(k)
        assert score.shape == (trace.n_samples,) and np.isfinite(score).all()
        clear = np.abs(score - threshold) > 1e-9  # the comparison may be in other units
        if not np.isnan(threshold) and k < 1:
            exits = fitted.exit_mask(k, seen)
            assert np.array_equal(exits[clear], score[clear] >= threshold)


def test_a_policy_has_a_score_by_itself():
    class Never(BaseExitPolicy):
        def exit_mask(self, stage, proba):
            return np.zeros(len(proba), dtype=bool)

    trace = Trace([[[0.9, 0.1], [0.6, 0.4]], [[0.3, 0.7], [0.2, 0.8]]])
    assert Never().exit_score(1, trace.proba).tolist() == pytest.approx([0.6, 0.8])
    assert np.isnan(Never().exit_threshold(0))
