"""Rules learnt as weighted binary problems, and network selection (Bolukbasi et al.)."""

from copy import copy
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import has_fit_parameter

from .._walk import EXIT
from ._base import PathPolicy
from ._features import stage_features
from ._reduction import INPUT, Reduction, land, shown_only

__all__ = ["WeightedBinary"]

#: Of a long path of prices, as many are learnt; rules between them are blended.
N_PRICES = 13


class WeightedBinary(PathPolicy):
    """Leave or go on, and where to, as a classifier learns it.

    From the last decision to the first, each stage learns from the sample's label which
    is cheaper: to stop here, or to go on under the rules of the later stages. A mistake
    weighs what it costs [1]_.

    Parameters
    ----------
    estimator : classifier, default=None
        Learns the rules. Its `fit` must take `sample_weight`. None: logistic regression.
    skip : bool, default=False
        Whether a sample may be sent to any later stage (network selection) or only to
        the next one in use. What is skipped is not paid for.
    successors : dict of int to list of int, default=None
        With `skip=True`, the later stages each stage may send to, such as
        `{0: [1, 2], 1: [2]}`; a stage that is not named only ends ways. Stages that
        are not in use fall away. None: all later stages.
    features : callable, default=None
        `features(stage, proba)` turns what was seen, of shape (n_rows, stage + 1,
        n_classes), into numbers of shape (n_rows, n_features), which `estimator` gets
        standardised. Answers are NaN for stages that were skipped, and for those that only
        some ways to the stage have seen; the number of features must not depend on it. A
        row of the result must depend on that row alone. None: three largest probabilities,
        margin, entropy, doubt on a log scale, and agreement with earlier answers.
    excess_loss : bool, default=False
        Learn from max(loss - loss of the last stage, 0) instead of the loss: an error that
        the last stage would make too is no reason to go on, and a stage earns nothing by
        being right where the last one is wrong.
    cv : int, default=3
        Folds within the fitting rows: what the later rules make of a sample is told by
        classifiers that were fitted without it.
    random_state : int, RandomState instance or None, default=None
        Deals the samples to the folds, and seeds `estimator` where it is not seeded.

    Attributes
    ----------
    rules_ : dict of (int, int) to Rule
        The rule for samples that came from one stage (-1: the input) to another.
    stages_ : list of int
        The stages in use, in order.

    Notes
    -----
    On a path of many prices 13 are learnt. In between, the classifiers of both neighbours have
    their say, by the nearness of their prices; the stages are those of the nearer.

    References
    ----------
    .. [1] T. Bolukbasi, J. Wang, O. Dekel and V. Saligrama. Adaptive neural networks for
       efficient inference. ICML 2017, :arxiv:`1702.07811`.

    Examples
    --------
    >>> import numpy as np
    >>> from skcascade import Trace, walk
    >>> from skcascade.costs import FixedCost
    >>> from skcascade.policies import WeightedBinary
    >>> a, b, torn, lost = [0.9, 0.1], [0.1, 0.9], [0.7, 0.3], [0.55, 0.45]
    >>> trace = Trace([[a, a, a]] * 50 + [[torn, b, b]] * 30 + [[lost, a, b]] * 20)
    >>> y = np.repeat([0, 1], 50)
    >>> cost = FixedCost([1, 4, 10]).fit(trace)
    >>> policy = WeightedBinary(skip=True, random_state=0).fit(trace, y, cost, alpha=0.05)
    >>> walk(trace, policy).visited.mean(axis=0)
    array([1. , 0.3, 0.2])
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "skip": ["boolean"],
        "successors": [dict, None],
        "features": [callable, None],
        "excess_loss": ["boolean"],
        "cv": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        skip=False,
        successors=None,
        features=None,
        excess_loss=False,
        cv=3,
        random_state=None,
    ):
        self.estimator = estimator
        self.skip = skip
        self.successors = successors
        self.features = features
        self.excess_loss = excess_loss
        self.cv = cv
        self.random_state = random_state

    def check_params(self):
        """ValueError if a parameter cannot be used."""
        super().check_params()
        if not has_fit_parameter(self._learner(), "sample_weight"):
            raise ValueError(
                "`estimator` must take `sample_weight` in `fit`, since mistakes weigh what they"
                f" cost; {type(self.estimator).__name__} does not. Take one that does, such as"
                " LogisticRegression or HistGradientBoostingClassifier."
            )
        if self.successors is not None and not self.skip:
            raise ValueError(
                "`successors` needs skip=True, got skip=False, which sends samples to the next"
                " stage in use alone."
            )

    def _path(self, trace, y, cost, alphas, weight, smooth):
        self._check_successors(trace.n_stages)
        rng = check_random_state(self.random_state)
        loss = trace.losses(y)
        if self.excess_loss:
            loss = np.maximum(loss - loss[:, -1:], 0)
        reduction = Reduction(
            lambda stage, shown: self._features(
                stage, shown_only(trace.proba[:, : stage + 1], shown)
            ),
            loss,
            cost.relative(cost.edge_costs_),
            weight,
            rng.permutation(len(y)) % min(self.cv, len(y)),
            seeded(self._learner(), rng),
            self._targets,
        )
        return [self._at(*found) for found in solve_path(reduction, alphas, smooth)]

    def _learner(self):
        if self.estimator is None:
            return LogisticRegression(solver="newton-cholesky", max_iter=1000)
        return self.estimator

    def _check_successors(self, n_stages):
        for stage, targets in (self.successors or {}).items():
            targets = np.atleast_1d(targets).tolist()
            later = range(stage + 1, n_stages) if stage in range(n_stages) else ()
            if not targets or any(k not in later for k in targets):
                raise ValueError(
                    f"`successors` must name, for stages from 0 to {n_stages - 1}, one or more of"
                    f" the later ones, got {stage!r}: {targets!r}. Leave out a stage that ends"
                    " all ways."
                )

    def _targets(self, stage, in_use):
        """The later stages that `stage` may send to, in order."""
        later = [k for k in in_use if k > stage]
        if not self.skip:
            return later[:1]
        if self.successors is None:
            return later
        return [k for k in later if k in self.successors.get(stage, ())]

    def _features(self, stage, proba):
        X = np.asarray((self.features or stage_features)(stage, proba), dtype=float)
        if X.ndim != 2 or len(X) != len(proba):
            raise ValueError(
                "`features` must return an array of shape (n_rows, n_features), got"
                f" {X.shape} for {len(proba)} rows at stage {stage}."
            )
        return X

    def _at(self, stages, rules):
        policy = copy(self)
        policy.stages_, policy.rules_ = [int(k) for k in stages], rules
        return policy

    def route(self, stage, proba):
        """The next stage of each row, by the rule of the edge it came over.

        Parameters
        ----------
        stage, proba
            As for :meth:`BaseExitPolicy.exit_mask`.

        Returns
        -------
        to : ndarray of int, shape (n_rows,)
        """
        to = np.full(len(proba), EXIT)
        source = last_seen(proba[:, :stage])
        for j in np.unique(source):
            rows = np.flatnonzero(source == j)
            rule = self._rule(j, stage)
            if rule is not None:
                to[rows] = rule.decide(self._features(stage, shown_only(proba[rows], rule.shown)))
        return land(to, self._targets(stage, self.stages_))

    def _rule(self, source, stage):
        """The rule of an edge; of another edge to `stage` if that was never learnt."""
        edges = [(source, stage), *((j, stage) for j in range(INPUT, stage))]
        return next((self.rules_[edge] for edge in edges if edge in self.rules_), None)


def last_seen(proba):
    """Index of the last stage seen (n_rows,); -1 where there is none."""
    n_stages = proba.shape[1]
    seen = ~np.isnan(proba[:, :, 0])
    return np.where(seen, np.arange(n_stages), INPUT).max(axis=1, initial=INPUT)


def solve_path(reduction, alphas, smooth):
    """Stages and rules at each of `alphas`; of many prices, a part is learnt, if `smooth`."""
    order = np.argsort(alphas, kind="stable")
    n_learnt = min(len(alphas), N_PRICES) if smooth else len(alphas)
    grid = order[np.linspace(0, len(alphas) - 1, n_learnt).round().astype(int)]
    learnt = [reduction.solve(alphas[i]) for i in grid]
    known = {(i, solution.stages): solution for i, solution in enumerate(learnt)}
    position = np.log(np.maximum(alphas, 1e-300))
    path = []
    for at in np.interp(position, position[grid], np.arange(len(grid))):
        stages = learnt[round(at)].stages
        low, high = int(at), int(np.ceil(at))
        for i in (low, high):  # where the stages in use change, those rules may not be known
            if (i, stages) not in known:
                known[i, stages] = reduction.fitted(reduction.learn(stages, alphas[grid[i]]))
        path.append((stages, blended(known[low, stages].rules, known[high, stages].rules, at % 1)))
    return path


def blended(low, high, share):
    """Rules in which `share` of the say is that of `high`, the rest that of `low`."""
    return {edge: low[edge].blend(high[edge], share) if share else low[edge] for edge in low}


def seeded(estimator, rng):
    """A clone in which every `random_state` that is None is drawn from `rng`."""
    seed = rng.randint(2**31 - 1)
    names = [
        name
        for name, value in estimator.get_params().items()
        if name.split("__")[-1] == "random_state" and value is None
    ]
    return clone(estimator).set_params(**dict.fromkeys(names, seed))
