"""The estimator: split, fit members, price them, tune the policy; then walk."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_is_fitted, check_memory

from ._fit_policy import check_weight
from ._fitting import Data, MemberFitter, fit_and_record, split_rows
from ._monitor import ExitMonitor
from ._no_answer import labels_of
from ._operating_point import OperatingPoint
from ._stages import Live
from ._summary import cascade_block, summarize
from ._tuning import Tuning
from ._validation import (
    are_recorded_members,
    check_data,
    check_members,
    check_prices,
    check_reject,
    check_samples,
    input_tags,
    may_reject,
    route_metadata,
    seeded_policy,
)
from ._walk import walk
from .costs import BaseCostModel
from .members._adapters import adapt, as_estimator, thaw
from .policies import BaseExitPolicy, ConfidenceThreshold
from .utils._sklearn import CallbackSupportMixin, _BaseComposition, _fit_context

__all__ = ["CascadeClassifier"]


class CascadeClassifier(CallbackSupportMixin, ClassifierMixin, _BaseComposition, BaseEstimator):
    """Cheap members first, dear ones only where they are needed.

    Every sample goes through the stages in order and leaves at the first whose answer is
    good enough, as a policy decides that was tuned on held-out data. One dial trades
    accuracy for cost: `alpha`, `max_accuracy_drop` or `max_cost`.

    Parameters
    ----------
    members : list of (str, estimator), default=None
        From the cheapest to the dearest: scikit-learn classifiers with `predict_proba`,
        skorch nets, `torch.nn.Module` (instances or classes). None: three torch nets of
        growing size, MLPs for tables, CIFAR-style ResNets for images
        (n_samples, channels, height, width).
    policy : BaseExitPolicy, default=None
        When to leave. None: :class:`~skcascade.policies.ConfidenceThreshold`.
    cost : BaseCostModel or array-like of shape (n_stages,), default=None
        Prices. None: :class:`~skcascade.costs.MacsCost` where every member can be counted,
        else one unit per stage, with a warning.
    loss : callable, default=None
        `loss(y, proba)` takes codes (n_samples,) and probabilities (n_samples, n_classes)
        and gives the loss of each sample. None: 0/1. Accuracy means 1 - mean loss.
    alpha : float, default=None
        Price of one full run of the last stage, in units of accuracy. At most one of
        `alpha`, `max_accuracy_drop` and `max_cost` may be given; none means
        `max_accuracy_drop=0`.
    max_accuracy_drop : float in [0, 1), default=None
        Largest acceptable drop below the reference stage, the most accurate stage alone.
    max_cost : float, default=None
        Largest acceptable mean cost, as a share of running the last stage alone.
    reject_cost : float in [0, 1), default=None
        Allow giving no answer, as a last exit that costs nothing: this is what it loses,
        where an error loses 1. Samples leave there whose best answer is more likely to be
        wrong than that. None: every sample gets an answer, unless `max_error` is given.
    max_error : float in (0, 1), default=None
        Largest acceptable error rate among the samples that get an answer: `reject_cost` is
        the largest that keeps to it on held-out rows, at any operating point.
    reject_label : int, float or str, default=None
        What `predict` says where there is no answer. None: -1 for numbers, "no answer"
        for strings.
    confidence_level : float in (0, 1), default=None
        Certify the bound: over the draw of the held-out rows, the true drop (or cost)
        exceeds it with probability at most 1 - `confidence_level`. Holds for one fit, not
        for the best of several. Needs a float `cv`, "prefit", or frozen members.
    cv : float, int, splitter, iterable or "prefit", default=0.2
        Where the held-out answers come from. A float: one stratified hold-out of that
        share, members stay as fitted on the rest. An int, splitter or iterable with several
        folds: answers out of fold, members are then fitted on everything. "prefit":
        members are fitted already and every row is held out.
    memory : str or object with the joblib.Memory interface, default=None
        Caches fitted members and their held-out answers. Needs an int `random_state`.
    batch_size : int, default=None
        Rows handled at once. None keeps the answers of a block near 32 MiB.
    n_jobs : int, default=None
        Members fitted in parallel (joblib). Results do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seeds the splits, and every member and policy whose own is None.
    verbose : int, default=0
        Whether to tell which member is being fitted, and how long it took.

    Attributes
    ----------
    members_ : Bunch
        Fitted members by name.
    policy_ : BaseExitPolicy
        The fitted policy.
    cost_ : BaseCostModel
        The fitted prices.
    trace_ : Trace
        What every stage says of every held-out row, in float32: `n_rows * n_stages *
        n_classes * 4` bytes. `del cascade.trace_` drops it before pickling.
    tradeoff_ : TradeoffCurve
        The cross-fitted curve the operating point was chosen from.
    tradeoff_index_ : int
        The point of it that was chosen.
    stage_names_ : list of str
        Name of each stage; the last is "no answer" where that is allowed.
    reject_cost_ : float or None
        What giving no answer loses.
    classes_ : ndarray of shape (n_classes,)
        Labels.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during `fit`, where X has names.

    See Also
    --------
    make_cascade : Names the members by itself.
    fit_policy : The same choice on recorded outputs.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skcascade import CascadeClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(
    ...     X, y, test_size=0.4, stratify=y, random_state=0
    ... )
    >>> members = [
    ...     ("linear", LogisticRegression(C=0.01, solver="newton-cholesky")),
    ...     ("neighbours", KNeighborsClassifier(3)),
    ... ]
    >>> cascade = CascadeClassifier(members, cv=5, random_state=0).fit(X_train, y_train)
    >>> round(cascade.members_.neighbours.score(X_test, y_test), 3)
    0.986
    >>> round(cascade.score(X_test, y_test), 3)
    0.983
    >>> float(cascade.cost_.relative(cascade.predict_cost(X_test)).mean().round(2))
    0.11
    """

    _parameter_constraints = {
        "members": [list, tuple, None],
        "policy": [BaseExitPolicy, None],
        "cost": [BaseCostModel, "array-like", None],
        "loss": [callable, None],
        "alpha": [Real, None],
        "max_accuracy_drop": [Real, None],
        "max_cost": [Real, None],
        "reject_cost": [Interval(Real, 0, 1, closed="left"), None],
        "max_error": [Interval(Real, 0, 1, closed="neither"), None],
        "reject_label": [Real, str, None],
        "confidence_level": [Real, None],
        "cv": [
            Interval(Real, 0, 1, closed="neither"),
            Interval(Integral, 2, None, closed="left"),
            StrOptions({"prefit"}),
            "cv_object",
        ],
        "memory": [str, HasMethods(["cache"]), None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        members=None,
        *,
        policy=None,
        cost=None,
        loss=None,
        alpha=None,
        max_accuracy_drop=None,
        max_cost=None,
        reject_cost=None,
        max_error=None,
        reject_label=None,
        confidence_level=None,
        cv=0.2,
        memory=None,
        batch_size=None,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.members = members
        self.policy = policy
        self.cost = cost
        self.loss = loss
        self.alpha = alpha
        self.max_accuracy_drop = max_accuracy_drop
        self.max_cost = max_cost
        self.reject_cost = reject_cost
        self.max_error = max_error
        self.reject_label = reject_label
        self.confidence_level = confidence_level
        self.cv = cv
        self.memory = memory
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def get_params(self, deep=True):
        """Parameters of the cascade and, with `deep`, of its members by `name__parameter`.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        params : dict
        """
        return self._get_params("members", deep=deep)

    def set_params(self, **params):
        """Set parameters of the cascade, of its members, or whole members by name.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self : object
        """
        return self._set_params("members", **params)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, **fit_params):
        """Fit the members and tune the policy on rows that none of them saw.

        Parameters
        ----------
        X : samples
            Whatever the members take: arrays, data frames, sparse matrices, tensors, lists,
            dicts of arrays for skorch.
        y : array-like of shape (n_samples,)
            Labels.
        **fit_params : dict
            Metadata, routed as scikit-learn does. Without routing, `sample_weight`
            (n_samples,) goes to the members that take it and to the policy.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            Before anything is fitted, if a parameter, a member or the data cannot be used.
        """
        rng = check_random_state(self.random_state)
        policy = seeded_policy(self.policy, self._draw_seed(rng))
        check_reject(self)
        target = OperatingPoint.check(
            self.alpha,
            self.max_accuracy_drop,
            self.max_cost,
            self.confidence_level,
            tunable=policy.tunable,
        )
        names, estimators = check_members(self, X)
        X, y, codes = check_data(self, X, y)
        check_prices(self.cost, estimators)
        params, weight = route_metadata(self, names, estimators, fit_params)
        weight = check_weight(weight, codes, self.confidence_level)
        splits = split_rows(self.cv, y, codes, rng)
        rows = np.concatenate([test for _, test in splits])
        weight = None if weight is None else check_weight(weight[rows], codes[rows])
        members = [adapt(estimator).seeded(self._draw_seed(rng)) for estimator in estimators]
        context = self._init_callback_context(max_subtasks=None, sequential_subtasks=False)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        fitter = MemberFitter(
            names, members, params, self.loss, self.batch_size, self.n_jobs, self.verbose,
            check_memory(self.memory), context,
        )  # fmt: skip
        fitted = fit_and_record(
            fitter, Data(X, y, codes, self.classes_), splits, policy, self.cost, target, rng
        )
        self._members, self._max_error = fitted.stages.members, self.max_error
        self._deployed = are_recorded_members(self.cv, estimators)
        if may_reject(self):
            fitted = fitted.with_no_answer(self.reject_cost or 0.0)
        self._stages, self._stages_key, self.cost_ = fitted.stages, fitted.key, fitted.cost
        self._tuning = Tuning(fitted.policy, fitted.trace, codes[rows], fitted.cost, weight, rng)
        self._set_policy(target, fitter.memory)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def set_operating_point(self, *, alpha=None, max_accuracy_drop=None, max_cost=None):
        """Move the dial on the kept trace. No member is touched or run.

        Parameters
        ----------
        alpha, max_accuracy_drop, max_cost : float, default=None
            As for the cascade, whose parameters they become; none means
            `max_accuracy_drop=0`.

        Returns
        -------
        self : object
        """
        check_is_fitted(self)
        dials = {"alpha": alpha, "max_accuracy_drop": max_accuracy_drop, "max_cost": max_cost}
        target = OperatingPoint.check(
            **dials, confidence_level=self.confidence_level, tunable=self.policy_.tunable
        )
        self._set_policy(target)
        return self.set_params(**dials)

    def predict(self, X):
        """Label of each sample.

        Parameters
        ----------
        X : samples

        Returns
        -------
        y : ndarray of shape (n_samples,)
            `reject_label` where there is no answer.
        """
        proba = self.predict_proba(X)
        return labels_of(proba, self.classes_, self.reject_label)

    def predict_proba(self, X):
        """Probabilities, as the stage says at which each sample leaves.

        Parameters
        ----------
        X : samples

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float32
            Zeros where there is no answer.
        """
        return self._walk(X).proba

    def predict_log_proba(self, X):
        """Logarithm of :meth:`predict_proba`.

        Parameters
        ----------
        X : samples

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def score(self, X, y, sample_weight=None):
        """Accuracy of :meth:`predict`. No answer is not the right one.

        Parameters
        ----------
        X : samples
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        accuracy : float
        """
        return super().score(X, y, sample_weight)

    def staged_predict_proba(self, X):
        """Probabilities of every stage in turn, each run on all samples.

        Parameters
        ----------
        X : samples

        Yields
        ------
        proba : ndarray of shape (n_samples, n_classes), float32
        """
        live = self._live(X)
        rows = np.arange(live.n_samples)
        for stage in range(live.n_stages):
            yield live.observe(stage, rows)

    def predict_exit(self, X):
        """Index of the stage at which each sample leaves.

        Parameters
        ----------
        X : samples

        Returns
        -------
        exit : ndarray of int, shape (n_samples,)
            Positions in `stage_names_`.
        """
        return self._walk(X).exit

    def decision_path(self, X):
        """Which stages each sample visits.

        Parameters
        ----------
        X : samples

        Returns
        -------
        visited : ndarray of bool, shape (n_samples, n_stages)
        """
        return self._walk(X).visited

    def predict_cost(self, X):
        """What each sample pays.

        Parameters
        ----------
        X : samples

        Returns
        -------
        cost : ndarray of shape (n_samples,)
            In the unit of `cost_`.
        """
        visited = self._walk(X).visited  # says first that it is not fitted, if so
        return self.cost_.path_cost(visited)

    def summary(self):
        """Stages, prices and accuracies on held-out rows, and whether a cascade pays.

        Who leaves where is what the fitted policy does on the held-out rows; the line of
        the cascade and the verdict are cross-fitted.

        Returns
        -------
        text : str
        """
        check_is_fitted(self)
        return summarize(
            self.stage_names_, self.policy_, self.tradeoff_, self.tradeoff_index_, self._exits
        )

    def monitor(self, X=None, *, false_alarm_rate=0.01):
        """Watch later samples for drift against held-out rows.

        Parameters
        ----------
        X : samples, default=None
            Rows like those to come that no member was fitted on; labels are not needed.
            None: the held-out rows, where the members that answered there are deployed.
        false_alarm_rate : float in (0, 1), default=0.01
            Chance, over all batches ever fed, that a rate is named which did not move.

        Returns
        -------
        monitor : ExitMonitor

        Raises
        ------
        ValueError
            If X is None and the trace was dropped, or holds the answers of other members than
            those deployed, as with several folds.
        """
        check_is_fitted(self)
        if X is None and not self._deployed:
            raise ValueError(
                "The held-out answers are those of members fitted on other folds: give `X`, rows"
                " that no member was fitted on, or fit with a float `cv`."
            )
        reference = self._tuning.trace if X is None else self._live(X)
        return ExitMonitor(self.policy_, reference, cascade=self, false_alarm_rate=false_alarm_rate)

    @property
    def trace_(self):
        """Answers of every stage on the held-out rows."""
        if not hasattr(self, "_tuning") or self._tuning.trace is None:
            raise AttributeError("There is no trace: not fitted yet, or it was dropped.")
        return self._tuning.trace

    @trace_.deleter
    def trace_(self):
        self._tuning.trace = None

    @property
    def members_(self):
        """Fitted members by name."""
        return Bunch(**{name: thaw(member.estimator) for name, member in self._members})

    @property
    def stage_names_(self):
        """Name of each stage."""
        return self._stages.names

    def __sklearn_is_fitted__(self):
        return hasattr(self, "policy_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inputs = input_tags([member for _, member in self.members or []])
        tags.input_tags.sparse = bool(inputs) and all(tag.sparse for tag in inputs)
        tags.input_tags.allow_nan = bool(inputs) and all(tag.allow_nan for tag in inputs)
        return tags

    def _walk(self, X):
        return walk(self._live(X), self.policy_, batch_size=self.batch_size)

    def _live(self, X):
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)  # raises; it looks at the tags of all members, so only now
        return Live(self._stages, check_samples(self, X))

    def _set_policy(self, target, memory=None):
        if self._max_error is None:
            self._tuning.search(self.confidence_level is not None, memory)
        else:
            self._tuning = self._tuning.within_error(self._max_error, target)
        self.reject_cost_ = self._tuning.reject_cost
        level = self.confidence_level
        self.policy_, search, self.tradeoff_index_ = self._tuning.fit(target, level)
        self.tradeoff_ = search.curve.named(self.stage_names_, self.tradeoff_index_)
        # Where the trace was dropped, the cross-fitted point has to tell who leaves where.
        kept = self._tuning.trace is not None
        self._exits = self._tuning.replay(self.policy_) if kept else None

    def _draw_seed(self, rng):
        """A seed for what is not seeded yet; None where the user wants none."""
        seed = int(rng.randint(2**31 - 1))
        return None if self.random_state is None else seed

    def get_metadata_routing(self):
        """How metadata goes to members and policy.

        Returns
        -------
        routing : MetadataRouter
        """
        router = MetadataRouter(owner=self)
        policy = ConfidenceThreshold() if self.policy is None else self.policy
        for name, estimator in [*(self.members or []), ("policy", policy)]:
            mapping = MethodMapping().add(caller="fit", callee="fit")
            router.add(**{name: as_estimator(estimator)}, method_mapping=mapping)
        return router

    def _sk_visual_block_(self):
        return cascade_block(self)
