"""Recorded tables, and random draws of rows to tune on; all other rows evaluate."""

from typing import NamedTuple

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.naive_bayes import GaussianNB

from skcascade import Trace, walk
from skcascade.costs import BaseCostModel, FixedCost

from ._data import Table, noisy_digits, recorded_nets, recorded_resnets, recorded_table, split
from ._recorded import table as trained

#: Largest accuracy drops asked for.
TARGETS = 0.0, 0.0025, 0.005, 0.01, 0.02
#: Rows of a draw.
N_ROWS = 1_000


def simulated_digits(n_rows=8_000):
    """Three scikit-learn members on noisy digits: a table that needs no data files."""
    X, y = noisy_digits(n_rows + 1_000)
    members = GaussianNB(), *(ExtraTreesClassifier(n, random_state=0) for n in (30, 300))
    proba = [m.fit(X[:1_000], y[:1_000]).predict_proba(X[1_000:]) for m in members]
    return Table("digits", Trace(np.stack(proba, axis=1)), y[1_000:], np.array([1.0, 5.0, 50.0]))


#: Name -> table. Four services each for FrugalML: the choice of services is part of the task.
TABLES = {
    name: lambda name=name: recorded_table(name, 4)
    for name in ("expw", "ferplus", "yelp", "command", "digit", "waimai")
} | {
    "nets": recorded_nets,
    "resnets": recorded_resnets,
    "cascade": lambda: trained("cifar10"),
    "fashion": lambda: trained("fashion_mnist"),
    "digits": simulated_digits,
}


def add_arguments(parser, n_draws=20):
    """Options of every benchmark on recorded tables."""
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), help="default: all")
    parser.add_argument("--rows", type=int, default=N_ROWS, help="rows of a draw")
    parser.add_argument("--draws", type=int, help=f"of each table (default {n_draws}, quick 3)")
    parser.set_defaults(default_draws=n_draws)


def chosen(args):
    """The tables asked for and how many draws of each; `--quick` needs no data files."""
    names = args.tables or (["digits"] if args.quick else list(TABLES))
    return [TABLES[name]() for name in names], args.draws or (
        3 if args.quick else args.default_draws
    )


class Draw(NamedTuple):
    """Rows to tune on, and rows to evaluate on.

    Attributes
    ----------
    trace, y : Trace, ndarray of shape (n_rows,)
        To tune on.
    test, y_test : Trace, ndarray of shape (n_test,)
        All other rows of the table.
    cost : FixedCost
        Fitted.
    seed : int
    """

    trace: Trace
    y: np.ndarray
    test: Trace
    y_test: np.ndarray
    cost: BaseCostModel
    seed: int

    @classmethod
    def of(cls, table, n_rows, seed):
        """Draw `n_rows` of a table."""
        rows, rest = split(len(table.y), n_rows, seed)
        cost = FixedCost(table.cost).fit(table.trace)
        parts = [(table.trace.rows(part), table.y[part]) for part in (rows, rest)]
        return cls(*parts[0], *parts[1], cost, seed)

    def evaluate(self, policy):
        """Accuracy drop of `policy` below the best stage, and mean relative cost."""
        route = walk(self.test, policy)
        spent = self.cost.relative(self.cost.path_cost(route.visited))
        return self.drop(route.exit), spent.mean()

    def drop(self, exits):
        """Accuracy of the best stage on these rows, less that of the predictions at `exits`."""
        losses = self.test.losses(self.y_test)
        return losses[np.arange(len(losses)), exits].mean() - losses.mean(axis=0).min()


def standard_error(values):
    """Of the mean over draws. They share rows, so it is a lower bound."""
    return values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan


def mean_and_error(values, digits=4, sign=""):
    """Mean and standard error as text, without NaN; "-" where nothing is left."""
    values = values[~np.isnan(values)]
    if not len(values):
        return "-"
    return f"{values.mean():{sign}.{digits}f} +- {standard_error(values):.{digits}f}"


def cost_at(points, drops):
    """Cost at each of `drops`, on the line through points (drop, cost); NaN if out of reach."""
    drop, cost = points[np.argsort(points[:, 1])].T
    drop = np.minimum.accumulate(drop)  # never pay more for less
    at = np.interp(drops, drop[::-1], cost[::-1])
    return np.where(drop[-1] <= np.asarray(drops), at, np.nan)
