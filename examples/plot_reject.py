"""
Reject samples
==============

A cascade may reject a sample, so that a person can label it. Here the digits are so noisy that even
the expensive member is wrong on one in ten. What share of them must be rejected before the others
are right?
"""

# %%
# A linear model, three hundred trees, and a last stage, "reject". It costs nothing, and its loss is
# a fifth of that of an error.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skcascade import CascadeClassifier
from skcascade.inspection import ExitDisplay

X, y = load_digits(return_X_y=True)
X = X + np.random.default_rng(0).normal(scale=5, size=X.shape)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, stratify=y, random_state=0)

members = [
    ("linear", LogisticRegression(C=0.01, solver="newton-cholesky")),
    ("trees", ExtraTreesClassifier(300, random_state=0)),
]
cascade = CascadeClassifier(members, reject_cost=0.2, cv=5, random_state=0).fit(X_train, y_train)
print(cascade.summary())

# %%
# Exits per stage on the test rows. Rejected samples have no label, so no accuracy.
ExitDisplay.from_estimator(cascade, X_test, y_test)

# %%
# `max_error` bounds the error rate of the samples that get a label. `fit` finds the cost of
# abstaining that satisfies the bound on held-out rows. It only just holds there, so on other rows
# it is exceeded about half the time. Here these are only some hundred.
allowed = 0.01, 0.02, 0.04, 0.06
found = []
for max_error in allowed:
    careful = CascadeClassifier(members, max_error=max_error, cv=5, random_state=0)
    label = careful.fit(X_train, y_train).predict(X_test)
    answered = label != -1
    found.append((answered.mean(), (label != y_test)[answered].mean()))
    print(f"asked for {max_error:.1%}: {found[-1][0]:.1%} answered, {found[-1][1]:.1%} wrong")

# %%
# For comparison, the expensive member alone, which rejects its least confident samples.
trees = cascade.members_.trees.predict_proba(X_test)
by_confidence = np.argsort(-trees.max(axis=1), kind="stable")
wrong = (trees.argmax(axis=1) != y_test)[by_confidence]
share = np.arange(1, len(wrong) + 1) / len(wrong)

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(
    share, np.cumsum(wrong) / np.arange(1, len(wrong) + 1), "--", color="0.4", label="trees alone"
)
ax.plot(*zip(*found), "o-", color="#0072B2", label="cascade")
for i, (at, max_error) in enumerate(zip(found, allowed)):
    # On either side in turn, so that labels of close points do not overlap.
    offset, ha = ((-6, 6), "right") if i % 2 == 0 else ((6, -14), "left")
    ax.annotate(f"asked {max_error:.1%}", at, xytext=offset, textcoords="offset points", ha=ha)
ax.set(xlabel="share of samples answered", ylabel="error rate of these samples", xlim=(0, 1.02))
ax.grid(alpha=0.3)
ax.legend(loc="upper left")
picture = Path("reject.png")
fig.savefig(picture, dpi=150)
print(f"The error rates are drawn in {picture.name}.")
