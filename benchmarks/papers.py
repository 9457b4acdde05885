"""The three papers' experiments on JPEG CIFAR-10 and Fashion-MNIST.

1. Guan et al.: a cascade of members of growing cost, as trained one by one and as trained jointly.
2. Berestizshevsky & Even: three exits of the largest member, the rule of each exit on its own.
3. Bolukbasi et al.: learned policies, for those exits, and for selection among three members.

The predictions of the nets on held-out and test images are in `benchmarks/recorded`. With them, all
takes minutes, and is kept in `--cache`: empty it after a change of the package. `--train` trains
missing nets, each from its last checkpoint in `--cache` on. `--full` does so for as many epochs as
in the papers, which needs `--device cuda`.

Costs are MACs and cumulative. Policies are tuned on the second half of the 5,000 held-out images;
the first half validates joint training. Drops are measured against the last stage, on the 10,000
test images. Numbers are the mean and the standard deviation over draws: of 80 % of the images
tuned on, and of as many test images as there are, with replacement. They include the variation
between trained nets only where a row has several seeds.

"Chosen" points come from held-out images. Costs that are "read off" lie on the curve of the test
images themselves, as published figures do.
"""

from typing import NamedTuple

import joblib
import numpy as np

from skcascade.policies import ConfidenceThreshold, Reinforce, WeightedBinary
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._search import Search, compute_outcome

from ._draws import cost_at
from ._recorded import PLANS, load, train_and_record
from ._report import seeds, verdict

#: Largest share of the MACs at the last member's error (Guan et al., CIFAR-10).
JOINT_COST = 0.1816
#: Share of the MACs at a drop of 0.4 points (Berestizshevsky & Even, CIFAR-10, epsilon 1 %).
EXITS_COST = 1 - 0.274
#: The same at a drop of a point (Bolukbasi et al., ImageNet, top 5).
SELECTION_COST = 1 / 2.8
EPSILONS = 0.01, 0.02, 0.04
#: Largest drops asked for, and drops at which costs are read off.
DROPS = np.array([0.0, 0.004, 0.01, 0.02])
#: Policies of all cascades, the slow ones last.
POLICIES = {
    "threshold": ConfidenceThreshold(),
    "threshold, uncalibrated": ConfidenceThreshold(per_class=False),
    "heads": Reinforce("exact", random_state=0),
    "weighted": WeightedBinary(random_state=0),
}
N_QUICK = 2


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--sets", nargs="+", default=list(PLANS), choices=list(PLANS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the nets")
    parser.add_argument("--draws", type=int, help="of images, for each seed (default 20, quick 2)")
    parser.add_argument("--train", action="store_true", help="train and record what is missing")
    parser.add_argument("--depths", nargs="+", type=int, help="train these members only")
    parser.add_argument("--epochs", type=int, help="of the members' own training")
    parser.add_argument("--full", action="store_true", help="as many epochs as in the papers")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compiled", action="store_true", help="train with torch.compile")
    parser.add_argument(
        "--cache", default="benchmark-cache", help="folder of checkpoints and finished draws"
    )


def run(args):
    """The rows of each method, for each set of images that is recorded."""
    n_draws = args.draws or (2 if args.quick else 20)
    policies = dict(list(POLICIES.items())[: N_QUICK if args.quick else None])
    once = joblib.Memory(args.cache, verbose=0).cache(one_draw)

    def replay(policy, found):
        """A :class:`Replayed` for each draw of each recording."""
        return [once(policy, one, seed) for one in found for seed in range(n_draws)]

    for name in args.sets:
        for seed in args.seeds if args.train else []:
            train_and_record(name, seed, args)
        for variant, methods in METHODS.items():
            found = [load(name, variant, seed, args.full) for seed in args.seeds]
            found = [one for one in found if one is not None]
            for method in methods if found else []:
                for row in method(found, replay, policies):
                    start = {"data": name, "stages": variant, "nets": seeds(len(found))}
                    yield start | {"draws": n_draws * len(found)} | row


def alone(found, replay, policies):
    """Error and cost of every stage."""
    for k, stage in enumerate(found[0].names):
        errors = np.array([one.test.losses(one.y_test)[:, k].mean() for one in found])
        macs = found[0].cost.edge_costs_[0]
        yield {
            "stage": stage,
            "error": percent(errors),
            "million MACs": float(macs[k] / 1e6),
            "share": float(macs[k] / macs[-1]),
            "_errors": errors.tolist(),
        }


def cascade(found, replay, policies):
    """Method 1: cost of a cascade with no more errors than its last member."""
    for name, policy in policies.items():
        yield summary(name, replay(policy, found), drop=0.0, asked=JOINT_COST)


def exits(found, replay, policies):
    """Method 2: the rule of each exit on its own, for each epsilon, and the joint rules."""
    joint = {name: replay(policy, found) for name, policy in policies.items()}
    for epsilon in EPSILONS:
        rule = ConfidenceThreshold(tuning="per_stage", epsilon=epsilon)
        replayed = replay(rule, found)
        drop, cost = np.array([one.chosen[0] for one in replayed]).T
        at_equal = np.array(
            [cost_at(one.points, [d])[0] for one, d in zip(joint["threshold"], drop)]
        )
        yield {
            "policy": f"per stage, epsilon {epsilon:g}",
            "drop": percent(drop),
            "MACs": percent(cost),
            "joint rule at that drop": percent(at_equal),
            "within reach": float(np.isfinite(at_equal).mean()),
            "_mean drop": float(drop.mean()),
            "_mean cost": float(cost.mean()),
        }
    for name, replayed in joint.items():
        yield summary(name, replayed, drop=0.004, asked=EXITS_COST)


def selection(found, replay, policies):
    """Method 3 among three members of very different cost: the first, the middle, the last."""
    last = len(found[0].names) - 1
    three = [one.stages([0, last // 2, last]) for one in found]
    rules = {"threshold": policies["threshold"]}
    if "weighted" in policies:
        rules["weighted, skip"] = WeightedBinary(skip=True, random_state=0)
    for name, policy in rules.items():
        row = summary(name, replay(policy, three), drop=0.01, asked=SELECTION_COST)
        yield {"among": " ".join(three[0].names)} | row


METHODS = {
    "members": [alone, cascade, selection],
    "joint": [alone, cascade],
    "exits": [alone, exits],
}


class Replayed(NamedTuple):
    """One draw: (drop, relative cost) of the chosen points, and of the points on the front."""

    chosen: np.ndarray
    points: np.ndarray


def one_draw(policy, one, seed):
    """A :class:`Replayed`: tuned on held-out images, evaluated on a resample of test images."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(one.y))[: int(0.8 * len(one.y))]
    drawn = rng.integers(len(one.y_test), size=len(one.y_test))
    search = Search.run(policy, one.tune.rows(rows), one.y[rows], one.cost, random_state=seed)
    losses = one.test.losses(one.y_test)

    def evaluated(i):
        loss, spent, _ = compute_outcome(one.test, search.policies[i], losses, one.cost)
        return (loss - losses[:, -1])[drawn].mean(), one.cost.relative(spent[drawn]).mean()

    targets = [OperatingPoint(max_accuracy_drop=drop) for drop in DROPS]
    chosen = [target.choose(search.curve) if policy.tunable else 0 for target in targets]
    front = search.curve.pareto()
    points = {i: evaluated(i) for i in {*chosen, *front}}
    return Replayed(*(np.array([points[i] for i in found]) for found in (chosen, front)))


def summary(policy, replayed, drop, asked):
    """The row of a policy; `asked` is the published cost at `drop`."""
    chosen = np.array([one.chosen for one in replayed])
    read_off = np.array([cost_at(one.points, DROPS) for one in replayed])
    at = list(DROPS).index(drop)
    reached = read_off[~np.isnan(read_off[:, at]), at]
    return {
        "policy": policy,
        **{f"dial {d:g}: drop, MACs": both(chosen[:, i]) for i, d in enumerate(DROPS)},  # words: ok
        **{f"read off at {d:g}": percent(read_off[:, i]) for i, d in enumerate(DROPS)},
        "asked": asked,
        "met": verdict(reached.mean(), asked) if len(reached) else "-",
        "within reach": len(reached) / len(replayed),
        "_dialled": chosen.mean(axis=0).tolist(),  # words: ok
        "_mean": float(reached.mean()) if len(reached) else None,
        "_points": replayed[0].points.tolist(),
    }


def both(pairs):
    """Drop and cost, as text."""
    return ", ".join(percent(column) for column in pairs.T)


def percent(values):
    """Mean and standard deviation in percent, without NaN."""
    values = 100 * values[~np.isnan(values)]
    if not len(values):
        return "-"
    return f"{values.mean():.2f}" + (f" +- {values.std(ddof=1):.2f}" if len(values) > 1 else "")
