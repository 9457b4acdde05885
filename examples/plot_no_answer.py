"""
Giving no answer
================

A cascade may leave a sample without an answer, for a person to look at. Here the digits are made
so noisy that even the dear member is wrong on one in ten, and the question is what share of them
has to go to that person before the others are right.
"""

# %%
# A linear model and three hundred trees, and a last exit at which nobody answers. Going there
# costs nothing and loses a fifth of what an error loses.
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
# Who leaves where, on the test rows. Those without an answer have none to be right or wrong.
ExitDisplay.from_estimator(cascade, X_test, y_test)

# %%
# `max_error` asks for an error rate among those that are answered, and finds the price of silence
# that keeps to it on held-out rows. It is chosen to be just kept there, so on other rows it is as
# often missed as kept; and these are only some hundred.
allowed = 0.01, 0.02, 0.04, 0.06
found = []
for max_error in allowed:
    careful = CascadeClassifier(members, max_error=max_error, cv=5, random_state=0)
    label = careful.fit(X_train, y_train).predict(X_test)
    answered = label != -1
    found.append((answered.mean(), (label != y_test)[answered].mean()))
    print(f"asked for {max_error:.1%}: {found[-1][0]:.1%} answered, {found[-1][1]:.1%} wrong")

# %%
# The dear member alone, silent where it is least sure, for comparison.
dear = cascade.members_.trees.predict_proba(X_test)
surest = np.argsort(-dear.max(axis=1), kind="stable")
wrong = (dear.argmax(axis=1) != y_test)[surest]
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
ax.set(
    xlabel="share of samples that get an answer", ylabel="error rate among those", xlim=(0.4, 1.02)
)
ax.grid(alpha=0.3)
ax.legend(loc="upper left")
picture = Path("no_answer.png")
fig.savefig(picture, dpi=150)
print(f"Errors among the answered are drawn in {picture.name}.")
