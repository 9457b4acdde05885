"""Predictions of the nets of the papers' experiments: made by training, kept in files.

A file holds log-probabilities (float16) of the 5,000 held-out and the 10,000 test images of a set,
for three variants of stages: "members" are trained one by one, "joint" ones together after that,
and "exits" are those of the largest member with two more exits.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from skcascade import Trace
from skcascade.costs import BaseCostModel, FixedCost

from ._data import Table

RECORDED = Path(__file__).parent / "recorded"


class Plan(NamedTuple):
    """What is trained on a set of images.

    Attributes
    ----------
    sizes : tuple of (int, int)
        Depth and width of each member.
    epochs, full_epochs : int
        Of the members: on a CPU, and with more time.
    more_epochs : int
        Of joint training, and of each exit that is added.
    """

    sizes: tuple
    epochs: int
    full_epochs: int
    more_epochs: int = 3


PLANS = {
    "cifar10": Plan(((8, 16), (20, 16), (32, 16), (56, 16), (110, 16)), 20, 160),
    "fashion_mnist": Plan(((8, 4), (8, 16), (20, 16)), 8, 160),
}


class Recorded(NamedTuple):
    """Stages recorded on images to tune on, and on images to evaluate on.

    Attributes
    ----------
    names : list of str
    tune, y : Trace, ndarray of shape (n_images,)
        Held-out images that joint training has not used.
    test, y_test : Trace, ndarray of shape (n_test,)
    cost : FixedCost
        Fitted; in MACs.
    """

    names: list
    tune: Trace
    y: np.ndarray
    test: Trace
    y_test: np.ndarray
    cost: BaseCostModel

    def stages(self, chosen):
        """The same with some of the stages only, which must be separate members."""
        tune, test = (trace.select_stages(chosen) for trace in (self.tune, self.test))
        cost = FixedCost(self.cost.edge_costs_[0, chosen]).fit(tune)
        names = [self.names[k] for k in chosen]
        return self._replace(names=names, tune=tune, test=test, cost=cost)


def load(name, variant, seed, full=False):
    """A :class:`Recorded`; None if it was not recorded."""
    found = _read(_path(name, seed, full))
    if f"{variant}_test" not in found:
        return None
    tune, test = (_trace(found[f"{variant}_{part}"]) for part in ("held_out", "test"))
    rest = np.arange(len(tune.proba) // 2, len(tune.proba))
    cost = FixedCost(found[f"{variant}_macs"]).fit(tune)
    names = [str(stage) for stage in found[f"{variant}_names"]]
    y, y_test = found["y_held_out"].astype(int), found["y_test"].astype(int)
    return Recorded(names, tune.rows(rest), y[rest], test, y_test, cost)


def table(name, seed=0):
    """All recorded images of the members trained one by one; costs in million MACs."""
    found = _read(_path(name, seed, full=False))
    parts = "held_out", "test"
    log_proba = np.concatenate([found[f"members_{part}"] for part in parts])
    y = np.concatenate([found[f"y_{part}"] for part in parts]).astype(int)
    return Table(f"trained_{name}", _trace(log_proba), y, found["members_macs"][0] / 1e6)


def _trace(log_proba):
    return Trace(softmax(log_proba.astype(np.float32), axis=2))


def _path(name, seed, full):
    return RECORDED / f"{name}{'-full' if full else ''}-{seed}.npz"


def _read(path):
    if not path.exists():
        return {}
    with np.load(path) as data:
        return dict(data)


def train_and_record(name, seed, args):
    """Train what is not recorded yet, and record it, variant by variant.

    Parameters
    ----------
    name : str
    seed : int
    args : Namespace
        With `full`, `epochs`, `depths`, `device`, `compiled` and `cache`.
    """
    from . import _training as training
    from ._images import image_set

    plan, path = PLANS[name], _path(name, seed, args.full)
    epochs = args.epochs or (plan.full_epochs if args.full else plan.epochs)
    data, where = image_set(name), {"seed": seed, "device": args.device}
    nets = {
        f"resnet{depth}x{width}": training.train(
            data, (depth, width), epochs, args.cache, compiled=args.compiled, **where
        )
        for depth, width in plan.sizes
        if args.depths is None or depth in args.depths
    }
    if len(nets) < len(plan.sizes):
        return
    members = training.stages_of(**nets)
    variants = {
        "members": lambda: members,
        "exits": lambda: training.stages_of(
            net=training.with_exits(
                nets[members.names[-1]], plan.sizes[-1], data, plan.more_epochs, **where
            )
        ),
        "joint": lambda: training.jointly(members, data, plan.more_epochs, **where),
    }
    for variant, make in variants.items():
        found = _read(path)
        if f"{variant}_test" not in found:
            stages = make()
            new = training.recorded(stages, data) | {"names": stages.names}
            found |= {f"{variant}_{key}": value for key, value in new.items()}
            classes = {"y_held_out": data.held_out.y, "y_test": data.test.y}
            found |= {key: y.astype(np.uint8) for key, y in classes.items()} | {"epochs": epochs}
            path.parent.mkdir(exist_ok=True)
            np.savez_compressed(path, **found)
