"""
A net with several exits
========================

One small residual network on the digits that come with scikit-learn. A sample may exit at each of
its three exits. How much of the net does a digit need?
"""

# %%
# The net has an exit after each of its three modules. Joint training adds up the losses of all
# exits. The thresholds are tuned on rows that are held out from this training.
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcascade import CascadeClassifier
from skcascade.inspection import TradeoffDisplay
from skcascade.members import EarlyExitNetClassifier
from skcascade.nets import CascadedResNet

X, y = load_digits(return_X_y=True)
X = (X / 16).reshape(-1, 1, 8, 8).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)

net = EarlyExitNetClassifier(
    CascadedResNet, module__depth=14, module__width=8, max_epochs=15, batch_size=32
)
cascade = CascadeClassifier([("net", net)], max_accuracy_drop=0.01, random_state=0)
cascade.fit(X_train, y_train)
print(cascade.summary())

# %%
# The cost of going from exit to exit, in multiply-accumulates: from the input (first row), from the
# first exit, and from the second. A deferred sample incurs only the cost of the rest of the trunk.
print(np.array2string(cascade.cost_.edge_costs_, precision=0, suppress_small=True))

# %%
# On test rows: the accuracy of each exit on all of them, and of the cascade, in which each row
# exits where the net is confident.
for name, proba in zip(("first", "second", "last"), cascade.staged_predict_proba(X_test)):
    print(f"{name:<7} exit  accuracy {(proba.argmax(axis=1) == y_test).mean():.3f}")
cost = cascade.cost_.relative(cascade.predict_cost(X_test)).mean()
print(f"cascade       accuracy {cascade.score(X_test, y_test):.3f}  relative cost {cost:.3f}")
print("rows that exit at each stage:", np.bincount(cascade.predict_exit(X_test), minlength=3))

# %%
# The trade-off curve it chose from, on the held-out rows.
display = TradeoffDisplay.from_estimator(cascade)
picture = Path("early_exit.png")
display.figure_.savefig(picture, dpi=150)
print(f"\nThe trade-off is drawn in {picture.resolve().name}.")
