"""
Three policies, one curve each
==============================

Thresholds, a learned policy and joint training on the same kind of members: three small nets, on
synthetic data that is hard for the small ones. All policies minimize the same objective and use the
same operating-point parameters. They differ in what they fit.
"""

# %%
# Six classes of two clusters each, in 20 dimensions.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

from skcascade import CascadeClassifier
from skcascade.policies import ConfidenceThreshold, Reinforce, WeightedBinary

X, y = make_classification(
    12_000, 20, n_informative=12, n_classes=6, n_clusters_per_class=2, flip_y=0, random_state=0
)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)

# %%
# One fit for each policy. Joint training keeps a tenth of the fitting rows for validation, so its
# members are trained on fewer rows. With as few rows as here that loses more than joint training
# gains, as the curves below show.
policies = {
    "thresholds": ConfidenceThreshold(),
    "learned, with skipping": WeightedBinary(skip=True),
    "joint training": Reinforce(),
}
cascades = {
    name: CascadeClassifier(policy=policy, cv=0.3, alpha=0.05, random_state=0).fit(X_train, y_train)
    for name, policy in policies.items()
}
print(cascades["joint training"].summary())

# %%
# The joint training: accuracy and cost on the validation rows, and alpha, after each epoch.
for epoch in cascades["joint training"].policy_.history_:
    print("  ".join(f"{key} {epoch[key]:.4f}" for key in ("valid_accuracy", "valid_cost", "alpha")))

# %%
# Each policy on the test rows, from very cheap to as expensive as the last member.
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for (name, cascade), style in zip(cascades.items(), ("o-", "s--", "^-")):
    points = []
    for alpha in np.geomspace(0.003, 1, 15):
        cascade.set_operating_point(alpha=alpha)
        cost = cascade.cost_.relative(cascade.predict_cost(X_test)).mean()
        points.append((cost, cascade.score(X_test, y_test)))
    ax.plot(*zip(*sorted(points)), style, ms=4, label=name)
ax.set(xlabel="mean cost / cost of the last stage alone", ylabel="accuracy (test rows)")
ax.grid(alpha=0.3)
ax.legend(loc="lower right")
picture = Path("policies.png")
fig.savefig(picture, dpi=150)
print(f"The curves are drawn in {picture.name}.")
