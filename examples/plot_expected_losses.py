"""
Tune on expected losses
=======================

Whether a recorded answer is right is one draw. The answers of all stages together tell how likely
it was to be right. Rules are tuned on these expected losses
(:doc:`/user_guide/expected_losses`). How much does that help with few rows?

The digits get noise, so that no member is perfect. Three members answer all 1,797 of them by
cross-validation. A draw of 400 rows tunes; the rows not drawn say what the chosen rule is worth.
"""

# %%
# Record the answers of three members
# -----------------------------------

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB

from skcascade import Trace, fit_policy, walk
from skcascade.policies import ConfidenceThreshold

X, y = load_digits(return_X_y=True)
X = X + np.random.default_rng(0).normal(scale=4, size=X.shape)
members = [
    GaussianNB(),
    LogisticRegression(C=1e-3, solver="newton-cholesky"),
    ExtraTreesClassifier(100, random_state=0),
]
answers = [cross_val_predict(m, X, y, cv=4, method="predict_proba") for m in members]
trace, cost = Trace(np.stack(answers, axis=1)), [1, 4, 40]
for member, loss in zip(members, trace.losses(y).mean(axis=0)):
    print(f"{type(member).__name__:24s}{1 - loss:.3f}")

# %%
# Tune on 400 rows, 16 times
# --------------------------
#
# Losses that are given as an array have no expectation, so they are minimized as they are. That
# shows what tuning on the observed losses would do.

observed = trace.losses(y)
by_observed = Trace(trace.proba, loss=observed)
found = {"observed losses": [], "expected losses": []}
curves = {name: [] for name in found}
for seed in range(16):
    order = np.random.default_rng(seed).permutation(len(y))
    rows, rest = order[:400], order[400:]
    for name, tuned in zip(found, (by_observed, trace)):
        policy = fit_policy(
            ConfidenceThreshold(), tuned.rows(rows), y[rows], cost=cost,
            max_accuracy_drop=0.01, random_state=seed,
        )  # fmt: skip
        route, losses = walk(trace.rows(rest), policy), observed[rest]
        drop = losses[np.arange(len(rest)), route.exit].mean() - losses.mean(axis=0).min()
        found[name].append((drop, (route.visited @ cost).mean() / cost[-1]))
        curves[name].append(policy.tradeoff_)

for name, points in found.items():
    drop, spent = np.transpose(points)
    print(
        f"{name}: mean drop {100 * drop.mean():+.2f} points, spread {100 * drop.std():.2f},"
        f" mean cost {spent.mean():.2f}, above the target in {np.mean(drop > 0.01):.0%} of draws"
    )

# %%
# Look at the curves and at what was chosen
# -----------------------------------------
#
# Left: the curves of five draws, each less the accuracy of its reference stage. Those of observed
# losses are uneven, and a choice from an uneven curve finds its luckiest point. Right: what the
# chosen rules are worth on the rows not drawn.

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for name, color in zip(found, ("tab:orange", "tab:blue")):
    for curve in curves[name][:5]:
        order = np.argsort(curve.relative_cost, kind="stable")
        gain = 100 * (curve.accuracy - curve.reference_accuracy)[order]
        left.plot(curve.relative_cost[order], gain, color=color, alpha=0.6, lw=1.2)
    drop, spent = np.transpose(found[name])
    right.scatter(spent, 100 * drop, color=color, alpha=0.7, label=name)
left.set(
    xlabel="relative cost", ylabel="accuracy above the reference (points)",
    xlim=(0, 0.5), ylim=(-4, 2), title="Curves of five draws",
)  # fmt: skip
right.axhline(1, color="black", ls="--", lw=1, label="target")
right.set(
    xlabel="relative cost", ylabel="drop on the rows not drawn (points)",
    title="What was chosen, 16 draws",
)  # fmt: skip
right.legend()
picture = Path("expected_losses.png")
fig.savefig(picture, dpi=150)
print(f"Curves and choices are drawn in {picture.name}.")
