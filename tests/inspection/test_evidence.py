"""Samples and labels of plots come together, or from the fitted cascade."""

import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcascade import CascadeClassifier
from skcascade.inspection import ConfidenceDisplay, ExitDisplay, TradeoffDisplay

_, X_TEST, _, Y_TEST = train_test_split(
    *load_digits(return_X_y=True), test_size=0.5, stratify=load_digits().target, random_state=0
)


@pytest.mark.parametrize("display", [TradeoffDisplay, ExitDisplay, ConfidenceDisplay])
def test_samples_and_labels_come_together(cascade, members, display):
    with pytest.raises(ValueError, match="`X` was given without `y`"):
        display.from_estimator(cascade, X_TEST)
    with pytest.raises(ValueError, match="`y` was given without `X`"):
        display.from_estimator(cascade, y=Y_TEST)
    with pytest.raises(ValueError, match="without a column"):
        display.from_estimator(cascade, X_TEST, Y_TEST + 100)
    with pytest.raises(ValueError, match="not fitted"):
        display.from_estimator(CascadeClassifier(members))


def test_without_held_out_rows_others_are_needed(fit):
    cascade = fit(cv=0.3, store_trace=False)
    assert len(TradeoffDisplay.from_estimator(cascade).curves) == 1
    for display in (ExitDisplay, ConfidenceDisplay):
        with pytest.raises(ValueError, match="store_trace=True, or give other rows"):
            display.from_estimator(cascade)
        display.from_estimator(cascade, X_TEST, Y_TEST)
