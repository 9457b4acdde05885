"""Three policies on three CifarResNets and Fashion-MNIST: thresholds, learned policies, heads.

For each seed 40,000 training images are drawn: 27,000 to fit the members, 3,000 for validation,
10,000 held out to tune policies on. The 10,000 test images are used for the curves only.

Further training starts from the same fitted members, for the same number of epochs, at a learning
rate of 1e-3. "continued" members are trained by plain cross-entropy, "joint" ones by `Reinforce`,
"gentle" ones by its exact gradient at 3e-4, and "letter" ones by its `member_loss="zero_one"`.

The policies that are compared on all of them see held-out rows only; "heads" are those of
`Reinforce`. A variant is trained once per seed and kept in `--cache`; curves take minutes.
"""

import joblib
import numpy as np

from skcascade import CascadeClassifier, Trace, walk
from skcascade.costs import FixedCost
from skcascade.members import TorchClassifier
from skcascade.nets import CifarResNet
from skcascade.policies import ConfidenceThreshold, Reinforce, WeightedBinary

from ._data import fashion_mnist, fashion_mnist_test

#: Depth and width of the members.
SIZES = {"small": (8, 4), "medium": (14, 8), "large": (20, 16)}
#: Relative costs at which accuracy is reported, and alphas of the candidates.
COSTS = 0.03, 0.05, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6
ALPHAS = np.geomspace(0.002, 1, 40)


class SameRows(ConfidenceThreshold):
    """Thresholds, with members fitted on the same rows as with `Reinforce`."""

    validation_fraction = 0.1


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--cache", default="benchmark-cache", help="folder of trained variants")


def run(args):
    """One row for each curve: accuracy at each of COSTS, mean over the seeds."""
    memory = joblib.Memory(args.cache, verbose=0)
    train_once = memory.cache(train, ignore=["cache"])
    found = {}
    for seed in args.seeds:
        for variant in args.variants:
            trained = train_once(variant, seed, *(QUICK if args.quick else FULL), args.cache)
            for name, policy in policies(seed).items():
                found.setdefault((variant, name), []).append(curve(policy, trained))
                yield row(variant, name, found[variant, name][-1:], [seed])
    for (variant, name), curves in found.items():
        yield row(variant, name, curves, args.seeds)


#: Images drawn, and epochs of the members' own fit.
FULL, QUICK = (40_000, 8), (2_000, 1)
#: Settings of the further training.
EXTRA = {"max_epochs": 4, "patience": None, "lr": 1e-3}
VARIANTS = {
    "pretrained": SameRows(),
    "continued": Reinforce(supervised=1.0, through_states=False, **EXTRA),
    "joint": Reinforce(**EXTRA),
    "gentle": Reinforce("exact", **{**EXTRA, "lr": 3e-4}),
    "letter": Reinforce(member_loss="zero_one", supervised=0.0, **EXTRA),
}


def members(max_epochs, **params):
    """Three nets of growing size."""
    return [
        (
            name,
            TorchClassifier(
                CifarResNet,
                module_params={"depth": depth, "width": width},
                max_epochs=max_epochs,
                **params,
            ),
        )
        for name, (depth, width) in SIZES.items()
    ]


def train(variant, seed, images, epochs, cache):
    """Predictions on held-out and test images, and the cost of each stage."""
    X, y = fashion_mnist(60_000)
    rows = np.random.default_rng(seed).permutation(len(y))[:images]
    cascade = CascadeClassifier(
        members(epochs, early_stopping=False),
        policy=VARIANTS[variant],
        alpha=0.05,
        cv=0.25,
        memory=cache,
        random_state=seed,
        verbose=1,
    ).fit(X[rows], y[rows])
    X_test, y_test = fashion_mnist_test()
    return {
        "proba": cascade.trace_.proba,
        "y": cascade.tuning_.y,
        "test": np.stack(list(cascade.staged_predict_proba(X_test)), axis=1),
        "y_test": y_test,
        "cost": cascade.cost_.edge_costs_[0],
    }


def policies(seed):
    """The policies whose curves are drawn for all members."""
    return {
        "threshold": ConfidenceThreshold(),
        "weighted": WeightedBinary(random_state=seed),
        "heads": Reinforce("exact", random_state=seed),
    }


def curve(policy, trained):
    """Accuracy at each of COSTS on the test images, and of each stage alone."""
    trace, test = Trace(trained["proba"]), Trace(trained["test"])
    cost = FixedCost(trained["cost"]).fit(trace)
    losses = test.losses(trained["y_test"])
    points = []
    for candidate in policy.fit_alphas(trace, trained["y"], cost, ALPHAS):
        route = walk(test, candidate)
        spent = cost.relative(cost.path_cost(route.visited)).mean()
        points.append((spent, 1 - losses[np.arange(len(losses)), route.exit].mean()))
    spent, accuracy = np.array(sorted(points)).T
    at = np.interp(COSTS, spent, accuracy)
    return np.where(np.array(COSTS) >= spent[0] - 0.01, at, np.nan), 1 - losses.mean(axis=0)


def row(variant, name, curves, of_seeds):
    """A row of the table: accuracy in percent, mean over seeds."""
    at, alone = (np.array(part) * 100 for part in zip(*curves))
    return {
        "members": variant,
        "policy": name,
        "seeds": " ".join(map(str, of_seeds)),
        **{f"{cost:g}": f"{value:.2f}" for cost, value in zip(COSTS, at.mean(axis=0))},
        "alone": " ".join(f"{value:.2f}" for value in alone.mean(axis=0)),
        "_accuracy": at.tolist(),
        "_alone": alone.tolist(),
    }
