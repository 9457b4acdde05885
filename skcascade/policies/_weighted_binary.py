"""Rules learned as weighted binary problems, and network selection (Bolukbasi et al.)."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state
from sklearn.utils.validation import has_fit_parameter

from ..evidence._row_costs import relative_edges
from ..utils._seed import seed_unset
from ..utils._sklearn import HasMethods, Interval
from ._alpha_path import AlphaPathPolicy, fitted_rules
from ._confidence import max_proba
from ._edges import INPUT, Edges
from ._features import show_only, stage_features
from ._reduction import Reduction
from ._threshold import fit_thresholds

__all__ = ["WeightedBinary"]

#: Of a long path of alphas, as many are learned; rules between them are blended.
N_ALPHAS = 13
#: Of more stages than this, those are learned about that thresholds would use.
MAX_STAGES = 6


class WeightedBinary(AlphaPathPolicy):
    """Exit or defer, and to which stage, as a classifier learns it.

    From the last decision to the first, each stage learns from the sample's label which
    is better: to exit here, or to defer under the rules of the later stages. The weight of a
    mistake is its cost [1]_.

    Parameters
    ----------
    estimator : classifier, default=None
        Learns the rules. Its `fit` must take `sample_weight`. None: logistic regression.
    skip : bool, default=False
        Whether a sample may be sent to any later stage (network selection) or only to
        the next one in use. A skipped stage costs nothing.
    successors : dict of int to list of int, default=None
        With `skip=True`, the later stages each stage may send to, such as
        `{0: [1, 2], 1: [2]}`; a stage that is not a key sends to none. Stages that
        are not in use are left out. None: all later stages.
    features : callable, default=None
        `features(stage, proba)` turns the answers seen, of shape (n_rows, stage + 1,
        n_classes), into numbers of shape (n_rows, n_features), which `estimator` gets
        standardized. Answers are NaN for stages that were skipped, and for those that only
        some routes to the stage have seen; the number of features must not depend on it. A
        row of the result must depend on that row alone. None: the three largest
        probabilities, margin, entropy, doubt on a log scale, agreement with earlier answers,
        and the predicted class.
    excess_loss : bool, default=False
        Learn from max(loss - loss of the last stage, 0) instead of the loss: an error that
        the last stage would make too is no reason to defer, and a stage gains nothing by
        being correct where the last one is wrong.
    cv : int, default=3
        Folds within the fitting rows: the cost-to-go of a sample comes from
        classifiers that were fitted without it.
    random_state : int, RandomState instance or None, default=None
        Assigns the samples to folds, and seeds `estimator` where it is not seeded.

    Attributes
    ----------
    rules_ : dict of int to dict of int to EdgeRule
        For each stage, the rule for samples that came from each earlier one (-1: the input).
    stages_ : list of int
        The stages in use, in order.

    Notes
    -----
    On a path of many alphas, 13 are learned. Between them the scores of both neighbors are
    averaged, weighted by the distance to their alphas; the stages are those of the nearer.
    Of more than 6 stages, those are learned about that thresholds on the confidence would use.

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
    >>> a, b, unsure, torn = [0.9, 0.1], [0.1, 0.9], [0.7, 0.3], [0.55, 0.45]
    >>> trace = Trace([[a, a, a]] * 50 + [[unsure, b, b]] * 30 + [[torn, a, b]] * 20)
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
        estimator: Any = None,
        *,
        skip: bool = False,
        successors: dict[int, list[int]] | None = None,
        features: Callable | None = None,
        excess_loss: bool = False,
        cv: int = 3,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.skip = skip
        self.successors = successors
        self.features = features
        self.excess_loss = excess_loss
        self.cv = cv
        self.random_state = random_state

    @property
    def may_skip(self) -> bool:  # type: ignore[override]
        """Whether a sample may skip a stage in use: `skip`."""
        return bool(self.skip)

    def check_params(self, n_stages: int | None = None) -> None:
        """ValueError if a parameter cannot be used."""
        super().check_params(n_stages)
        if not has_fit_parameter(self._learner(), "sample_weight"):
            raise ValueError(
                "`estimator` must take `sample_weight` in `fit`, since the weight of a mistake"
                f" is its cost; {type(self.estimator).__name__} does not. Choose one that does,"
                " such as LogisticRegression or HistGradientBoostingClassifier."
            )
        if self.successors is not None and not self.skip:
            raise ValueError(
                "`successors` needs skip=True, got skip=False, which sends samples to the next"
                " stage in use alone."
            )
        if n_stages is not None:
            self._check_successors(n_stages)
        if self.features is not None:
            self._features(0, np.array([[[0.7, 0.3]], [[0.4, 0.6]]], dtype=np.float32))

    def _path(self, trace, y, cost, alphas, weight):
        self._check_successors(trace.n_stages)
        rng = check_random_state(self.random_state)
        loss = trace.objective_losses(y)
        if self.excess_loss:
            loss = np.maximum(loss - loss[:, -1:], 0)
        reduction = Reduction(
            lambda stage, shown: self._features(
                stage, show_only(trace.proba[:, : stage + 1], shown)
            ),
            loss,
            relative_edges(trace, cost),
            weight,
            rng.permutation(len(y)) % min(self.cv, len(y)),
            seed_unset(self._learner(), rng.randint(2**31 - 1)),
            self._targets,
        )
        starts = self._starts(trace, loss, reduction.edges, alphas, weight)
        return [self._at(*found) for found in solve_path(reduction, alphas, starts)]

    def _starts(self, trace, loss, edges, alphas, weight):
        """The stages that learning begins with at each of `alphas`; None: all.

        The number of edges grows with the square of the stages. So of many stages, those
        that thresholds on the confidence would use are learned about.
        """
        if trace.n_stages <= MAX_STAGES:
            return [None] * len(alphas)
        score = np.stack([max_proba(trace.proba[:, k]) for k in range(trace.n_stages)], axis=1)
        _, used = fit_thresholds(score, loss, edges, alphas, weight)
        return [_at_most(stages, MAX_STAGES) for stages in used]

    def _learner(self):
        if self.estimator is None:
            return LogisticRegression(solver="newton-cholesky", max_iter=1000)
        return self.estimator

    def _check_successors(self, n_stages):
        for stage, targets in (self.successors or {}).items():
            targets = np.asarray(targets).tolist() if np.iterable(targets) else []
            later = range(stage + 1, n_stages) if stage in range(n_stages) else ()
            if not targets or any(k not in later for k in targets):
                raise ValueError(
                    f"`successors` must give, for stages from 0 to {n_stages - 1}, one or more of"
                    f" the later ones, got {stage!r}: {targets!r}. Omit a stage that sends to"
                    " none."
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
        policy.stages_, policy.rules_ = [int(k) for k in stages], {}
        for source, stage in sorted(rules):
            policy.rules_.setdefault(stage, {})[source] = rules[source, stage]
        return policy

    def route(self, stage: int, proba: NDArray[Any]) -> NDArray[np.intp]:
        """The next stage of each row, by the rule of the edge it came over.

        Parameters
        ----------
        stage, proba
            As for :meth:`BaseExitPolicy.exit_mask`.

        Returns
        -------
        to : ndarray of int, shape (n_rows,)
        """
        return self.rule(stage).route(stage, proba)

    def rule(self, stage: int) -> Edges:
        """The decision at `stage`: one rule for each edge to it.

        Parameters
        ----------
        stage : int

        Returns
        -------
        rule : Edges
        """
        learned = fitted_rules(self).get(stage, {})
        other = next(iter(learned.values()), None)  # for an edge whose rule was not learned
        rules = {source: learned.get(source, other) for source in range(INPUT, stage)}
        return Edges(rules, self._targets(stage, self.stages_), self._features)


def _at_most(stages, n):
    """`n` of `stages`, evenly spread, the first and the last among them."""
    spread = np.linspace(0, len(stages) - 1, min(n, len(stages))).round().astype(int)
    return tuple(stages[i] for i in spread)


def solve_path(reduction, alphas, starts):
    """Stages and rules at each of `alphas`; of many, a part is learned, from `starts`."""
    order = np.argsort(alphas, kind="stable")
    n_learned = min(len(alphas), N_ALPHAS)
    grid = order[np.linspace(0, len(alphas) - 1, n_learned).round().astype(int)]
    learned = [reduction.solve(alphas[i], starts[i]) for i in grid]
    known = {(i, solution.stages): solution for i, solution in enumerate(learned)}
    position = np.log(np.maximum(alphas, 1e-300))
    path = []
    for at in np.interp(position, position[grid], np.arange(len(grid))):
        stages = learned[round(at)].stages
        low, high = int(at), int(np.ceil(at))
        for i in (low, high):  # where the stages in use change, those rules may not be known
            if (i, stages) not in known:
                known[i, stages] = reduction.fitted(reduction.learn(stages, alphas[grid[i]]))
        path.append((stages, blended(known[low, stages].rules, known[high, stages].rules, at % 1)))
    return path


def blended(low, high, share):
    """Rules with the weight `share` on `high`, and the rest on `low`."""
    return {edge: low[edge].blend(high[edge], share) if share else low[edge] for edge in low}
