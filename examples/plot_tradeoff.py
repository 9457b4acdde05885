"""
Looking at a cascade
====================

A fitted cascade raises questions: what would more accuracy cost, would another policy do better,
where do samples leave, can the confidence be trusted, and what is it that the cheap members find
hard? One picture for each, on the digits that come with scikit-learn.
"""

# %%
# Three members of growing price, two thirds of the digits to fit them and to decide when an answer
# is good enough.
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
# The curve on fresh rows, with bands that say how far 600 rows may be from all digits there are.
# Costs differ by orders of magnitude, hence the logarithmic axis. A cascade has to be above the
# dashed line, which tossing a coin between two members would reach, and cannot get to the star,
# an oracle that knows which member to ask.
curve = tradeoff_curve(cascade, X_test, y_test, n_bootstrap=200, random_state=0)
display = TradeoffDisplay.from_curves(curve, xscale="log")
display.figure_.savefig("tradeoff.png", dpi=150)

# %%
# A point of the curve that costs a tenth of the last member at most:
point = curve.at(max_cost=0.1)
print(f"alpha {point.parameter:.3f}: accuracy {point.accuracy:.3f}, cost {point.relative_cost:.3f}")
cascade.set_operating_point(alpha=point.parameter)

# %%
# Choosing on rows and judging on the same rows flatters. Where the result is to be reported, choose
# on the held-out rows, as ``fit`` does, and keep the test rows for the end.

# %%
# Would another policy do better?
# -------------------------------
# The same members under rules that are learnt, and free to skip a member.
learnt = clone(cascade).set_params(policy=WeightedBinary(skip=True)).fit(X_train, y_train)
display = TradeoffDisplay.from_curves(
    {"thresholds": curve, "learnt rules": tradeoff_curve(learnt, X_test, y_test)}, xscale="log"
)
display.figure_.savefig("tradeoff_policies.png", dpi=150)

# %%
# Where do samples leave?
# -----------------------
# Each member is at its best on those that leave there, and the last one gets what is hard: its
# accuracy over those is below what it reaches on all.
display = ExitDisplay.from_estimator(cascade, X_test, y_test)
display.figure_.savefig("tradeoff_exits.png", dpi=150)

# %%
# Can the confidence be trusted?
# ------------------------------
# Accuracy should rise with the score, or no threshold can help; on the dotted line it is as good as
# its word. The forest votes with few trees and is right far more often than it claims. But the
# score is the chance to be right that the policy makes of its votes, and lies near the line.
display = ConfidenceDisplay.from_estimator(cascade, X_test, y_test)
display.figure_.savefig("tradeoff_confidence.png", dpi=150)

# %%
# What is hard?
# -------------
# Some digits that left at each member. Wrong answers are framed.
axes = plot_exit_examples(cascade, X_test, y=y_test, images=images, n_examples=8, random_state=1)
axes[0, 0].figure.savefig("tradeoff_examples.png", dpi=150)
print("The five pictures are in tradeoff*.png.")
