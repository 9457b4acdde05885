"""The estimator: split, fit members, measure costs, tune the policy."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.metadata_routing import MetadataRouter
from sklearn.utils.validation import check_memory

from ..costs import BaseCostModel
from ..evidence._named_losses import NAMED_LOSSES
from ..evidence._reject import add_reject_label
from ..members._adapters import adapt
from ..policies import BaseExitPolicy, ConfidenceThreshold
from ..tuning._fit_policy import check_weight
from ..tuning._groups import Groups
from ..tuning._tuning import Tuning
from ..utils._sklearn import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    _BaseComposition,
    _fit_context,
)
from ._checks import (
    check_costs,
    check_loss,
    check_reject,
    may_reject,
    n_stages_before_fit,
    operating_point,
    reject_bound,
    warn_if_memorized,
)
from ._fitting import Data, MemberFitter, fit_and_record
from ._metadata import build_router, route_metadata
from ._operating import TunedCascade
from ._splits import split_rows
from ._validation import (
    Inputs,
    are_recorded_members,
    check_data,
    check_members,
    input_tags,
    seeded_policy,
)

__all__ = ["CascadeClassifier"]


class CascadeClassifier(CallbackSupportMixin, TunedCascade, _BaseComposition, BaseEstimator):
    """Cheap members first, expensive ones only where they are needed.

    Every sample goes through the stages in order and exits at the first whose answer is
    good enough. A policy that was tuned on held-out data decides. One parameter trades
    accuracy for cost: `alpha`, `max_accuracy_drop` or `max_cost`.

    Parameters
    ----------
    members : list of (str, estimator), default=None
        From the cheapest to the most expensive: scikit-learn classifiers with
        `predict_proba`, skorch nets, `torch.nn.Module` (instances or classes). None: three
        torch nets of growing size, MLPs for tables, CIFAR-style ResNets for images
        (n_samples, channels, height, width).
    policy : BaseExitPolicy, default=None
        When to exit. None: :class:`~skcascade.policies.ConfidenceThreshold`.
    cost : BaseCostModel, {"macs", "latency"}, array-like or dict, default=None
        Cost of each stage: a model, its name, numbers of shape (n_stages,), or numbers by the
        names of the members. None: :class:`~skcascade.costs.MacsCost` where every member can
        be counted, else one unit per stage, with a warning.
    loss : {"zero_one", "log_loss", "brier", "balanced"}, array-like or callable, default=None
        What an answer loses. An array is a cost matrix with a row for each true and a column for
        each predicted class. A callable `loss(y, proba)` takes codes (n_samples,) and probabilities
        (n_samples, n_classes). None: "zero_one". Accuracy means 1 - mean loss.
    alpha : float, default=None
        Cost weight: the cost of one full run of the last stage, in units of accuracy. At
        most one of `alpha`, `max_accuracy_drop` and `max_cost` may be given; none means
        `max_accuracy_drop=0`.
    max_accuracy_drop : float in [0, 1), default=None
        Largest acceptable drop below the reference stage, the most accurate stage alone.
    max_cost : float, default=None
        Largest acceptable mean cost, as a share of running the last stage alone.
    reject_cost : float in [0, 1), default=None
        Allow rejecting samples, at a last stage that costs nothing: this is the loss of a
        rejected sample, where an error has loss 1. A sample is rejected if its best answer is
        more likely to be wrong than that. At most one of `reject_cost`, `max_error` and
        `reject_rate` may be given; none means that no sample is rejected.
    max_error : float in (0, 1), default=None
        Largest acceptable error rate among the samples that are not rejected, at any
        operating point. `fit` chooses the reject cost with the fewest rejected samples.
    reject_rate : float in [0, 1), default=None
        Largest acceptable share of rejected samples, at any operating point. `fit` chooses
        the reject cost with the fewest errors.
    reject_label : int, float or str, default=None
        What `predict` returns for rejected samples. None: -1 for numbers, "reject" for
        strings.
    confidence_level : float in (0, 1), default=None
        Certify the bound: over the draw of the held-out rows, the true drop (or cost)
        exceeds it with probability at most 1 - `confidence_level`. With `max_error` or
        `reject_rate` it certifies that bound instead. Holds for one fit, not for the best of
        several. Needs a float `cv`, "prefit", or frozen members.
    cv : float, int, splitter, iterable or "prefit", default=0.2
        Where the held-out answers come from. A float: one stratified hold-out of that
        share; members stay as fitted on the rest. An int, splitter or iterable with several
        folds: answers out of fold; members are then fitted on all rows. "prefit":
        members are fitted already and every row is held out.
    memory : str or object with the joblib.Memory interface, default=None
        Caches fitted members and their held-out answers. Needs an int `random_state`.
    store_trace : bool, default=True
        Whether the held-out answers, their labels and the searched candidates are kept. False
        makes the cascade small, for deployment; the operating point then stays as it is.
    batch_size : int, default=None
        Rows handled at once. None keeps the answers of a block near 32 MiB.
    n_jobs : int, default=None
        Members fitted in parallel (joblib). Results do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seeds the splits, and every member and policy whose own is None.
    verbose : int, default=0
        Whether to print which member is being fitted, and how long it took. The logger
        "skcascade" of the process that fits it gets the same messages.

    Attributes
    ----------
    stages_ : Stages
        The stages of the fitted members.
    members_ : Bunch
        Fitted members by name.
    policy_ : BaseExitPolicy
        The fitted policy.
    cost_ : BaseCostModel
        The fitted cost model.
    certified_ : bool
        Whether the bound was certified at `confidence_level`; False without one.
    tuning_ : Tuning
        The held-out evidence and the candidates that operating points are chosen from. Only
        with `store_trace=True`.
    trace_ : Trace
        The answers of every stage for every held-out row, in float32: `n_rows * n_stages *
        n_classes * 4` bytes. Only with `store_trace=True`.
    tradeoff_ : TradeoffCurve
        The cross-fitted curve the operating point was chosen from.
    tradeoff_index_ : int
        The point of it that was chosen.
    stage_names_ : list of str
        Name of each stage; the last is "reject" where samples may be rejected.
    reject_cost_ : float or None
        Loss of a rejected sample.
    labels_ : ndarray of shape (n_classes,) or (n_classes + 1,)
        `classes_`, and the label of rejected samples where samples may be rejected.
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

    Notes
    -----
    `fit` reads all parameters. Predictions use only the attributes that end with an underscore,
    so that a changed parameter takes effect in the next `fit`. `batch_size`, `memory` and
    `verbose` change no result and are read when they are needed. :meth:`set_operating_point` and
    :meth:`rejudge` are the last step of `fit` once more, and read `confidence_level` too.

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
    ...     ("neighbors", KNeighborsClassifier(3)),
    ... ]
    >>> cascade = CascadeClassifier(members, cv=5, random_state=0).fit(X_train, y_train)
    >>> round(cascade.members_.neighbors.score(X_test, y_test), 3)
    0.986
    >>> round(cascade.score(X_test, y_test), 3)
    0.985
    >>> float(cascade.cost_.relative(cascade.predict_cost(X_test)).mean().round(2))
    0.17
    """

    _parameter_constraints = {
        "members": [list, tuple, None],
        "policy": [BaseExitPolicy, None],
        "cost": [BaseCostModel, dict, StrOptions({"macs", "latency"}), "array-like", None],
        "loss": [StrOptions(set(NAMED_LOSSES)), "array-like", callable, None],
        "alpha": [Real, None],
        "max_accuracy_drop": [Real, None],
        "max_cost": [Real, None],
        "reject_cost": [Interval(Real, 0, 1, closed="left"), None],
        "max_error": [Interval(Real, 0, 1, closed="neither"), None],
        "reject_rate": [Interval(Real, 0, 1, closed="left"), None],
        "reject_label": [Real, str, None],
        "confidence_level": [Real, None],
        "cv": [
            Interval(Real, 0, 1, closed="neither"),
            Interval(Integral, 2, None, closed="left"),
            StrOptions({"prefit"}),
            "cv_object",
        ],
        "memory": [str, HasMethods(["cache"]), None],
        "store_trace": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        members: list[tuple[str, Any]] | None = None,
        *,
        policy: BaseExitPolicy | None = None,
        cost: Any = None,
        loss: Any = None,
        alpha: float | None = None,
        max_accuracy_drop: float | None = None,
        max_cost: float | None = None,
        reject_cost: float | None = None,
        max_error: float | None = None,
        reject_rate: float | None = None,
        reject_label: Any = None,
        confidence_level: float | None = None,
        cv: Any = 0.2,
        memory: Any = None,
        store_trace: bool = True,
        batch_size: int | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.members = members
        self.policy = policy
        self.cost = cost
        self.loss = loss
        self.alpha = alpha
        self.max_accuracy_drop = max_accuracy_drop
        self.max_cost = max_cost
        self.reject_cost = reject_cost
        self.max_error = max_error
        self.reject_rate = reject_rate
        self.reject_label = reject_label
        self.confidence_level = confidence_level
        self.cv = cv
        self.memory = memory
        self.store_trace = store_trace
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    __metadata_request__fit = {"subgroups": True}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the cascade and, with `deep`, of its members by `name__parameter`."""
        return self._get_params("members", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the cascade, of its members, or whole members by name.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self : object
        """
        if self.policy is None and any(name.startswith("policy__") for name in params):
            params = {"policy": ConfidenceThreshold(), **params}  # what None stands for
        return self._set_params("members", **params)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, subgroups: Any = None, **fit_params: Any
    ) -> Self:
        """Fit the members and tune the policy on held-out rows.

        Parameters
        ----------
        X : samples
            Whatever the members take: arrays, data frames, sparse matrices, tensors, lists,
            dicts of arrays for skorch.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, for the policy and for the members that take them; a pipeline gives them
            to its last step. With metadata routing they go where they are requested.
        subgroups : array-like of shape (n_samples,), default=None
            Labels of groups. The bound is then certified in every group: the drop of a group
            is measured against the stage that is best for that group. Needs
            `confidence_level`, and enough held-out rows of each group.
        **fit_params : dict
            Further metadata, routed as scikit-learn does; `groups` go to a group splitter.

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
        target = operating_point(self, policy)
        members = check_members(self, X)
        X, y, classes, codes, features = check_data(self, X, y)
        labels = add_reject_label(classes, self.reject_label) if may_reject(self) else classes
        policy.check_params(n_stages_before_fit(members))
        check_costs(self, members)
        loss = check_loss(self.loss, len(classes))
        metadata = route_metadata(self, members, sample_weight, fit_params)
        weight = check_weight(metadata.weight, codes, self.confidence_level)
        groups = Groups.check("subgroups", subgroups, len(y), self.confidence_level)
        splits = split_rows(self.cv, y, codes, rng, metadata.split)
        rows = np.concatenate([test for _, test in splits])
        weight = None if weight is None else check_weight(weight[rows], codes[rows])
        groups = None if groups is None else groups.rows(rows)
        adapted = [adapt(member).seeded(self._draw_seed(rng)) for member in members.estimators]
        context = self._init_callback_context(max_subtasks=None, sequential_subtasks=False)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        memory, data = check_memory(self.memory), Data(X, y, codes, classes)
        fitter = MemberFitter(
            members.names, adapted, metadata.members, loss, self.batch_size, self.n_jobs,
            self.verbose, memory, context,
        )  # fmt: skip
        fitted = fit_and_record(fitter, data, splits, policy, self.cost, target, rng)
        warn_if_memorized(self.cv, fitted.trace, codes[rows])
        if may_reject(self):
            fitted = fitted.with_reject(self.reject_cost or 0.0)
        tuning = Tuning(fitted.policy, fitted.trace, codes[rows], fitted.cost, weight, rng, groups)
        bound, names = reject_bound(self), fitted.stages.names
        chosen = self._choose(tuning, target, bound, names, self.store_trace, memory)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        # All that could fail is done: from here on the cascade is another one.
        for name in ("n_features_in_", "feature_names_in_", "tuning_"):
            self.__dict__.pop(name, None)
        self.__dict__.update(features, **chosen)
        self.stages_, self.cost_, self.classes_ = fitted.stages, fitted.cost, classes
        self.labels_ = labels
        self._inputs = Inputs.of(features, members.some_allow_nan)
        self._reject_bound, self._loss = bound, loss
        self._recorded = are_recorded_members(self.cv, members.estimators)
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inputs = input_tags([member for _, member in self.members or []])
        tags.input_tags.sparse = bool(inputs) and all(tag.sparse for tag in inputs)
        tags.input_tags.allow_nan = bool(inputs) and all(tag.allow_nan for tag in inputs)
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        """How metadata is routed to members and policy.

        Returns
        -------
        routing : MetadataRouter
        """
        own = super().get_metadata_routing().fit.requests
        return build_router(self, subgroups=own.get("subgroups", True))

    def _draw_seed(self, rng):
        """A seed for what is not seeded yet; None where `random_state` is None."""
        seed = int(rng.randint(2**31 - 1))
        return None if self.random_state is None else seed
