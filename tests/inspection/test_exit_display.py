"""The plot of exit rates and accuracy per stage."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcascade import walk
from skcascade.exceptions import CascadeWarning
from skcascade.inspection import ExitDisplay

X, X_TEST, Y, Y_TEST = train_test_split(
    *load_digits(return_X_y=True), test_size=0.5, stratify=load_digits().target, random_state=0
)
POLICIES = ["thresholds", "rules", "heads", "own"]


@pytest.mark.parametrize("policy", POLICIES)
def test_exits_of_every_policy(by_policy, policy, draw):
    cascade = by_policy[policy]
    display = ExitDisplay.from_estimator(cascade, X_TEST, Y_TEST)
    exits, right = cascade.predict_exit(X_TEST), cascade.predict(X_TEST) == Y_TEST
    cost = cascade.cost_.relative(cascade.predict_cost(X_TEST))
    used = cascade.policy_.stages_ or range(2)
    for k in range(2):
        here = exits == k
        assert display.exit_rates[k] == pytest.approx(here.mean())
        if here.any():
            assert display.exit_accuracy[k] == pytest.approx(right[here].mean())
            assert display.exit_cost[k] == pytest.approx(cost[here].mean())
        else:
            assert np.isnan([display.exit_accuracy[k], display.exit_cost[k]]).all()
    assert display.in_use == list(used)
    widths = [bar.get_width() for bar in display.rates_]
    assert widths == pytest.approx(display.exit_rates[list(used)])
    assert np.array_equal(display.alone_.get_xdata(), display.stage_accuracy)
    words = [text.get_text() for text in display.ax_.texts]
    assert words.count("not in use") == 2 - len(used)
    draw(display.figure_)


def test_exits_of_the_held_out_rows_are_those_of_the_summary(cascade, fit):
    display = ExitDisplay.from_estimator(cascade)
    for share in display.exit_rates[display.in_use]:
        assert f"{share:.1%}" in cascade.summary()
    weighted = fit(cv=0.3)
    with pytest.warns(CascadeWarning, match="'neighbors' .* cannot take `sample_weight`"):
        weighted.fit(X, Y, sample_weight=np.where(Y < 5, 1.0, 3.0))
    route = walk(weighted.trace_, weighted.policy_)
    rates = np.bincount(route.exit, weighted.tuning_.sample_weight, 3)
    shown = ExitDisplay.from_estimator(weighted)
    assert shown.exit_rates == pytest.approx(rates / rates.sum())


def test_rejected_samples_are_neither_right_nor_wrong(rejecting, draw):
    n = (rejecting.predict_exit(X_TEST) == 3).sum()
    assert n and rejecting.stage_names_[3] == "reject"
    display = ExitDisplay.from_estimator(rejecting, X_TEST, Y_TEST)
    assert display.exit_rates[3] == pytest.approx(n / len(Y_TEST))
    assert np.isnan([display.exit_accuracy[3], display.stage_accuracy[3]]).all()
    draw(display.figure_)


def test_labels(cascade):
    display = ExitDisplay.from_estimator(cascade)
    drawn = display.rates_, display.accuracy_, display.alone_
    assert [artist.get_label() for artist in drawn] == [
        "exit rate",
        "accuracy of these samples",
        "accuracy of the stage on all",
    ]


def test_the_score_of_another_loss(fit):
    """Scores below 0 are drawn, too."""
    cascade = fit(loss="log_loss", cv=0.3).fit(X, Y)
    display = ExitDisplay.from_estimator(cascade, X_TEST, Y_TEST)
    assert display.alone_.get_label() == "1 - log loss of the stage on all"
    assert display.accuracy_.get_label() == "1 - log loss of these samples"
    assert display.ax_.get_xlim()[0] < min(0, display.stage_accuracy.min()) + 1e-9
    by_hand = ExitDisplay([0.5, 0.5], [0.2, -1.5], [-0.5, 0.1], metric="1 - cost").plot()
    assert by_hand.ax_.get_xlim()[0] < -1.5


def test_exits_from_arrays():
    _, ax = plt.subplots()
    display = ExitDisplay([0.8, 0, 0.2], [0.9, np.nan, 0.7], [0.8, 0.85, 0.9], in_use=[0, 2])
    assert display.plot(ax=ax).ax_ is ax and display.stage_names == ["0", "1", "2"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "1", "2"]
    with pytest.raises(ValueError, match="`stage_accuracy` must have one entry for each of the 2"):
        ExitDisplay([0.5, 0.5], [1, 1], [1])
    with pytest.raises(ValueError, match="`stage_names`"):
        ExitDisplay([1.0], [1], [1], stage_names=["a", "b"])
