"""What every exit policy is: a map from what has been seen to the next stage."""

from copy import copy

import numpy as np
from sklearn.base import BaseEstimator

from .._walk import EXIT, stages_in_use, walk

__all__ = ["BaseExitPolicy", "PathPolicy", "row_weights", "use_stages"]


class BaseExitPolicy(BaseEstimator):
    """Base class of exit policies.

    The smallest policy overrides :meth:`exit_mask` alone. One that learns overrides
    :meth:`fit` as well, one that may skip stages overrides :meth:`route` instead, and
    one that trains the members overrides :meth:`fine_tune`. The cascade always calls
    all of them.

    Attributes
    ----------
    validation_fraction : float, default=0.0
        Share of the fitting rows that members never see and :meth:`fine_tune` gets.
    tunable : bool, default=True
        False where the rule is the same at every operating point by its very definition.
    stages_ : list of int or None
        The stages in use, in order; None: all of them. The walk enters at the first
        and always ends at the last.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skcascade import CascadeClassifier
    >>> from skcascade.policies import BaseExitPolicy
    >>> class Sure(BaseExitPolicy):
    ...     def exit_mask(self, stage, proba):
    ...         return proba[:, stage].max(axis=1) >= 0.9
    >>> X, y = load_digits(return_X_y=True)
    >>> members = [("nb", GaussianNB()), ("lr", LogisticRegression(max_iter=5000))]
    >>> cascade = CascadeClassifier(members, policy=Sure(), random_state=0).fit(X, y)
    >>> cascade.policy_.stages_
    [1]
    """

    validation_fraction = 0.0
    tunable = True
    stages_ = None
    _parameter_constraints = {}

    def check_params(self):
        """Check the parameters; the cascade does so before anything is fitted.

        Raises
        ------
        ValueError
            If one cannot be used.
        """
        self._validate_params()

    def fine_tune(self, stages, X, y, X_val, y_val, cost, target):
        """Train members jointly with the policy. Does nothing here.

        Parameters
        ----------
        stages : Stages
            Fitted members.
        X, y : training samples and their codes (n_samples,)
            The rows the members were fitted on.
        X_val, y_val : samples and codes
            `validation_fraction` of the fitting rows, seen by nobody so far; None
            where the fraction is 0.
        cost : BaseCostModel
            Fitted prices.
        target : OperatingPoint
            What to train for.

        Returns
        -------
        stages : Stages
            The very object that came in if no member was touched.
        """
        return stages

    def fit(self, trace, y, cost, alpha, sample_weight=None):
        """Learn the rule from recorded evidence. Nothing to learn here.

        Parameters
        ----------
        trace : Trace
            Held-out answers of every stage.
        y : ndarray of int, shape (n_samples,)
            True codes.
        cost : BaseCostModel
            Fitted prices.
        alpha : float
            Price of one full run of the last stage, in units of accuracy.
        sample_weight : ndarray of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        self : object
        """
        return self

    def fit_path(self, trace, y, cost, alphas, sample_weight=None):
        """Copies fitted and pruned at each of several prices.

        This is what the choice of the operating point calls. Override it where many
        prices can be solved together faster than one by one.

        Parameters
        ----------
        trace, y, cost, sample_weight
            As for :meth:`fit`.
        alphas : sequence of float
            Prices.

        Returns
        -------
        policies : list of BaseExitPolicy
        """
        weight = row_weights(sample_weight, len(y))
        losses = trace.losses(y)

        def objective(policy, alpha):
            way = walk(trace, policy)
            price = cost.relative(cost.path_cost(way.visited))
            paid = losses[np.arange(len(y)), way.exit] + alpha * price
            return np.average(paid, weights=weight)

        path = []
        for alpha in alphas:
            # Not a clone: what `fine_tune` learnt is to stay.
            policy = copy(self).fit(trace, y, cost, alpha, sample_weight)
            path.append(_prune(policy, trace.n_stages, lambda p: objective(p, alpha)))  # noqa: B023
        return path

    def fit_each(self, trace, y, cost, alphas, sample_weight=None):
        """Copies as :meth:`fit_path` gives them at each of several prices alone.

        On a path, rules may be smoothed between neighbouring prices; here they must not be.
        Override it where the prices can share work all the same.

        Parameters
        ----------
        trace, y, cost, alphas, sample_weight
            As for :meth:`fit_path`.

        Returns
        -------
        policies : list of BaseExitPolicy
        """
        return [self.fit_path(trace, y, cost, [a], sample_weight)[0] for a in alphas]

    def exit_mask(self, stage, proba):
        """Who leaves. Override this to write a policy for a chain of stages.

        Must not look at other rows of the batch.

        Parameters
        ----------
        stage : int
            The stage just run.
        proba : ndarray of shape (n_rows, stage + 1, n_classes)
            All that was seen so far; NaN for stages that were skipped.

        Returns
        -------
        leaves : ndarray of bool, shape (n_rows,)
        """
        raise NotImplementedError(f"{type(self).__name__} must override `exit_mask` or `route`.")

    def route(self, stage, proba):
        """The next stage of each row. Override this to skip stages.

        Parameters
        ----------
        stage, proba
            As for :meth:`exit_mask`.

        Returns
        -------
        to : ndarray of int, shape (n_rows,)
            :data:`~skcascade.EXIT` or the index of a later stage in use.
        """
        return np.where(self.exit_mask(stage, proba), EXIT, self.next_stage(stage))

    def exit_score(self, stage, proba):
        """How much speaks for leaving, for people to look at: the walk does not ask.

        Override this where the policy compares a number of its own.

        Parameters
        ----------
        stage, proba
            As for :meth:`exit_mask`.

        Returns
        -------
        score : ndarray of shape (n_rows,)
            Larger is surer. Here the probability of the most likely class.
        """
        return proba[:, stage].max(axis=1)

    def exit_threshold(self, stage):
        """The score from which rows leave, up to rounding, where one number decides.

        Parameters
        ----------
        stage : int

        Returns
        -------
        threshold : float
            Of :meth:`exit_score`; infinite where none or all leave. Here NaN: there is no
            such number.
        """
        return np.nan

    def next_stage(self, stage):
        """The stage in use that follows `stage`."""
        if self.stages_ is None:
            return stage + 1
        return min(k for k in self.stages_ if k > stage)


class PathPolicy(BaseExitPolicy):
    """Base class of policies that are fitted at many prices together: `fit` is a path of one.

    They override `_path`, which returns fitted copies and must not change the policy it is
    called on.
    """

    def fit_path(self, trace, y, cost, alphas, sample_weight=None):
        """Copies fitted at each of several prices, smoothed between neighbouring ones.

        Parameters
        ----------
        trace, y, cost, alphas, sample_weight
            As for :meth:`BaseExitPolicy.fit_path`.

        Returns
        -------
        policies : list of BaseExitPolicy
        """
        return self._copies(trace, y, cost, alphas, sample_weight, smooth=True)

    def fit_each(self, trace, y, cost, alphas, sample_weight=None):
        """Copies fitted at each of several prices alone.

        Parameters
        ----------
        trace, y, cost, alphas, sample_weight
            As for :meth:`BaseExitPolicy.fit_path`.

        Returns
        -------
        policies : list of BaseExitPolicy
        """
        return self._copies(trace, y, cost, alphas, sample_weight, smooth=False)

    def _copies(self, trace, y, cost, alphas, sample_weight, smooth):
        self.check_params()
        weight = row_weights(sample_weight, len(y))
        return self._path(trace, y, cost, np.asarray(alphas, dtype=float), weight, smooth)

    def fit(self, trace, y, cost, alpha, sample_weight=None):
        """Learn the rule from recorded evidence.

        Parameters
        ----------
        trace, y, cost, alpha, sample_weight
            As for :meth:`BaseExitPolicy.fit`.

        Returns
        -------
        self : object
        """
        fitted = self.fit_path(trace, y, cost, [alpha], sample_weight)[0]
        vars(self).update(vars(fitted))
        return self


def row_weights(sample_weight, n_samples):
    """Weights as floats (n_samples,): ones where none are given."""
    return np.ones(n_samples) if sample_weight is None else np.asarray(sample_weight, float)


def use_stages(policy, stages):
    """A copy of a fitted `policy` that uses only `stages`, a sorted sequence."""
    same = copy(policy)
    same.stages_ = list(stages)
    return same


def _prune(policy, n_stages, objective):
    """Drop stages for as long as that lowers the objective (backward elimination)."""
    best, value = policy, objective(policy)
    while len(in_use := stages_in_use(best, n_stages)) > 1:
        shorter = [use_stages(best, [k for k in in_use if k != out]) for out in in_use]
        values = [objective(candidate) for candidate in shorter]
        if min(values) > value:
            break
        value = min(values)
        best = shorter[values.index(value)]
    return best
