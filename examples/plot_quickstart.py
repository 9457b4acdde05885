"""
Quickstart
==========

Three torch nets of growing size on the digits that come with scikit-learn. How often does a
cascade need the large one?
"""

# %%
# A cascade without members trains three nets. It never fits and tunes on the same rows: the
# thresholds are tuned on held-out rows, here of five folds, since data is scarce.
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcascade import CascadeClassifier
from skcascade.inspection import TradeoffDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)

cascade = CascadeClassifier(max_accuracy_drop=0.01, cv=5, random_state=0)
cascade.fit(X_train, y_train)
print(cascade.summary())

# %%
# On test rows, the cascade compared with the large net alone:


def report(name):
    """Accuracy and relative cost on the test rows."""
    accuracy = cascade.score(X_test, y_test)
    cost = cascade.cost_.relative(cascade.predict_cost(X_test)).mean()
    print(f"{name:<24} accuracy {accuracy:.3f}  relative cost {cost:.3f}")


large = cascade.members_.large.score(X_test, y_test)
print(f"\n{'large net alone':<24} accuracy {large:.3f}  relative cost 1.000")
report("max_accuracy_drop=0.01")

# %%
# Other operating points take milliseconds: no net is run or trained again.
for drop in (0, 0.03):
    cascade.set_operating_point(max_accuracy_drop=drop)
    report(f"max_accuracy_drop={drop}")

# %%
# The trade-off curve it chose from, on the held-out rows.
display = TradeoffDisplay.from_estimator(cascade.set_operating_point(max_accuracy_drop=0.01))
picture = Path("quickstart.png")
display.figure_.savefig(picture, dpi=150)
print(f"\nThe trade-off is drawn in {picture.resolve().name}.")
