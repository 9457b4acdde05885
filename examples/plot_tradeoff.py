"""
Inspect a cascade
=================

Five questions about a fitted cascade, with one plot for each, on the digits that come with
scikit-learn. What does accuracy cost? Would another policy be better? Where do samples exit? Is the
confidence calibrated? Which samples are hard for the cheap members?
"""

# %%
# Three members of growing cost. Two thirds of the digits fit the members and tune the thresholds.
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from skcascade import CascadeClassifier, tradeoff_curve
from skcascade.inspection import (
    ConfidenceDisplay,
    ExitDisplay,
    TradeoffDisplay,
    plot_exit_examples,
)
from skcascade.policies import WeightedBinary

digits = load_digits()
X_train, X_test, y_train, y_test, _, images = train_test_split(
    digits.data,
    digits.target,
    digits.images,
    test_size=1 / 3,
    stratify=digits.target,
    random_state=0,
)
members = [
    ("forest", RandomForestClassifier(10, max_depth=6, random_state=0)),
    ("linear", LogisticRegression(C=0.01, solver="newton-cholesky")),
    ("svm", CalibratedClassifierCV(SVC(C=5), ensemble=False)),
]
cascade = CascadeClassifier(members, max_accuracy_drop=0.01, cv=5, random_state=0)
cascade.fit(X_train, y_train)
print(cascade.summary())

# %%
# What does accuracy cost?
# ------------------------
# The curve on test rows, with confidence bands for the sampling error of 600 rows. Costs differ by
# orders of magnitude, hence the logarithmic axis. A useful cascade is above the dashed line, which
# random mixtures of two members reach. The star is an oracle that knows which member is right; no
# cascade reaches it.
curve = tradeoff_curve(cascade, X_test, y_test, n_bootstrap=200, random_state=0)
display = TradeoffDisplay.from_curves(curve, xscale="log")
display.figure_.savefig("tradeoff.png", dpi=150)

# %%
# The best point of the curve that costs at most a tenth of the last member:
point = curve.at(max_cost=0.1)
print(f"alpha {point.parameter:.3f}: accuracy {point.accuracy:.3f}, cost {point.relative_cost:.3f}")
cascade.set_operating_point(alpha=point.parameter)

# %%
# Choosing and evaluating on the same rows is too optimistic. To report a result, choose on the
# held-out rows, as ``fit`` does, and use the test rows only at the end.

# %%
# Would another policy be better?
# -------------------------------
# The same members with a learned policy that may skip a member.
learned = clone(cascade).set_params(policy=WeightedBinary(skip=True)).fit(X_train, y_train)
display = TradeoffDisplay.from_curves(
    {"thresholds": curve, "learned policy": tradeoff_curve(learned, X_test, y_test)}, xscale="log"
)
display.figure_.savefig("tradeoff_policies.png", dpi=150)

# %%
# Where do samples exit?
# ----------------------
# A member is most accurate on the samples that exit there. Only hard samples reach the last one, so
# its accuracy on them is below its accuracy on all samples.
display = ExitDisplay.from_estimator(cascade, X_test, y_test)
display.figure_.savefig("tradeoff_exits.png", dpi=150)

# %%
# Is the confidence calibrated?
# -----------------------------
# Accuracy should rise with the score, or no threshold can help. On the dotted line the score is
# perfectly calibrated. The forest has few trees and is far underconfident. But the score is the
# calibrated confidence that the policy fits to its votes, and lies near the line.
display = ConfidenceDisplay.from_estimator(cascade, X_test, y_test)
display.figure_.savefig("tradeoff_confidence.png", dpi=150)

# %%
# Which samples are hard?
# -----------------------
# Some digits that exit at each member. Wrong predictions are framed.
axes = plot_exit_examples(cascade, X_test, y=y_test, images=images, n_examples=8, random_state=1)
axes[0, 0].figure.savefig("tradeoff_examples.png", dpi=150)
print("The five plots are in tradeoff*.png.")
