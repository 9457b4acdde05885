"""Checks of extensions: your own policy, cost model or member.

Each check raises an `AssertionError` that names the broken promise, or else returns None. The tests
of the package run them over everything public.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from .cascade._cascade import CascadeClassifier
from .costs import FixedCost
from .evidence._stages import CachedState, Stages, take
from .evidence._trace import Trace
from .evidence._walk import stages_in_use, walk
from .members._adapters import adapt, as_estimator
from .tuning._fit_policy import fit_policy

__all__ = ["check_cost_model", "check_member", "check_policy"]


def check_policy(policy: Any) -> None:
    """Check that an exit policy keeps the contract of the base class.

    The policy is fitted on a recorded trace, pruned, replayed in blocks and in another row
    order, cloned, pickled, and used in a cascade.

    Parameters
    ----------
    policy : BaseExitPolicy
        Unfitted.

    Raises
    ------
    AssertionError
        If the policy breaks a promise of :class:`~skcascade.policies.BaseExitPolicy`.

    Examples
    --------
    >>> from skcascade.checks import check_policy
    >>> from skcascade.policies import ConfidenceThreshold
    >>> check_policy(ConfidenceThreshold("margin"))
    """
    trace, y = _trace()
    before = repr(policy)
    cost = FixedCost([1.0, 3.0, 9.0]).fit(trace)
    fits = policy.fit_alphas(trace, y, cost, [0.01, 0.1], None)
    _require(len(fits) == 2, "`fit_alphas` must return one policy for each alpha")
    own = clone(policy)
    _require(own.fit(trace, y, cost, 0.05) is own, "`fit` must return self")
    point = {"max_accuracy_drop": 0.02} if policy.tunable else {}
    fitted = fit_policy(policy, trace, y, cost=[1.0, 3.0, 9.0], random_state=0, **point)
    _require(repr(policy) == before, "fitting a clone must not change the policy itself")
    for candidate in [*fits, own, fitted, pickle.loads(pickle.dumps(fitted))]:
        _check_walk(candidate, trace)
    _same(walk(trace, fitted), walk(trace, pickle.loads(pickle.dumps(fitted))), "a pickle")
    _check_in_cascade(policy, point)


def _check_walk(policy, trace):
    """The walk must end, and must not depend on blocks, batch mates or order."""
    whole = walk(trace, policy)
    _require(whole.visited[np.arange(len(whole.exit)), whole.exit].all(), "exits are visited")
    last = stages_in_use(policy, trace.n_stages)[-1]
    _require((whole.exit <= last).all(), "the last stage in use must be the last exit")
    _same(whole, walk(trace, policy, batch_size=7), "a smaller block")
    order = np.random.default_rng(0).permutation(trace.n_samples)
    shuffled = walk(trace.rows(order), policy)
    _same([part[order] for part in whole[:3]], shuffled[:3], "another order of the rows")


def _check_in_cascade(policy, point):
    """A cascade with the policy predicts, and its walk is the replay of its trace."""
    X, y = _data()
    members = [("nb", GaussianNB()), ("lr", LogisticRegression())]
    cascade = CascadeClassifier(members, policy=policy, cost=[1, 5], random_state=0, **point)
    cascade.fit(X, y)
    live = walk(cascade.evidence(X), cascade.policy_)
    replay = walk(cascade.record(X), cascade.policy_)
    _same(live, replay, "recorded evidence")


def check_cost_model(cost: Any) -> None:
    """Check that a cost model keeps the contract of the base class.

    Parameters
    ----------
    cost : BaseCostModel
        Unfitted, for two stages.

    Raises
    ------
    AssertionError
        If the cost model breaks a promise of :class:`~skcascade.costs.BaseCostModel`.

    Examples
    --------
    >>> from skcascade.checks import check_cost_model
    >>> from skcascade.costs import MacsCost
    >>> check_cost_model(MacsCost())
    """
    X, y = _data()
    members = [("nb", GaussianNB().fit(X, y)), ("lr", LogisticRegression().fit(X, y))]
    stages = Stages([(name, adapt(member)) for name, member in members], np.unique(y))
    own = clone(cost)
    _require(own.fit(stages, X) is own, "`fit` must return self")
    edges = own.edge_costs_
    _require(edges.shape == (2, 2), "`edge_costs_` must have the shape (n_stages, n_stages)")
    forward = edges[np.triu_indices(2)]
    _require(np.isfinite(forward).all() and (forward >= 0).all(), "costs must be 0 or more")
    _require(np.isnan(edges[1, 0]), "no edge leads back, so its cost must be NaN")
    visited = np.array([[True, False], [False, True], [True, True]])
    costs = [edges[0, 0], edges[0, 1], edges[0, 0] + edges[1, 1]]
    _require(np.allclose(own.path_cost(visited), costs), "`path_cost` must add up the edges")
    _require(np.isclose(own.relative(edges[0, 1]), 1), "the last stage alone must cost 1")
    copy = pickle.loads(pickle.dumps(own))
    _require(np.array_equal(copy.edge_costs_, edges, equal_nan=True), "a pickle must cost the same")


def check_member(estimator: Any) -> None:
    """Check that a classifier or a module can be a member.

    Parameters
    ----------
    estimator : estimator, torch.nn.Module or module class
        Unfitted, for samples of shape (n_samples, 6) and 3 classes.

    Raises
    ------
    AssertionError
        If its answers are not probabilities, depend on batch mates or change with a pickle.
        With several exits, if an answer depends on whether the exit continues from an earlier
        one.

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skcascade.checks import check_member
    >>> check_member(RandomForestClassifier(10, random_state=0))
    """
    X, y = _data()
    classes, codes = np.unique(y, return_inverse=True)
    member = adapt(as_estimator(estimator)).seeded(0).fit(X, y, codes)
    stages = Stages([("member", member)], classes)
    copy = Stages([("member", pickle.loads(pickle.dumps(member)))], classes)
    for exit in range(member.n_exits):
        answer, _ = member.step(exit, X, None)  # as it is: the stage itself refuses scores
        _require((answer >= 0).all(), "probabilities must be 0 or more")
        _require(np.allclose(answer.sum(axis=1), 1, atol=1e-4), "probabilities must add up to 1")
        proba, _ = stages.step(exit, X)
        _close(proba[:9], stages.step(exit, take(X, slice(9)))[0], "other batch mates")
        _close(proba, copy.step(exit, X)[0], "a pickle")
        for earlier in stages.earlier_exits(exit):
            state = stages.step(earlier, X)[1]
            if state is not None:
                cached = CachedState(earlier, state)
                _close(proba, stages.step(exit, X, cached)[0], "continuing from an earlier exit")


def _data():
    X, y = make_classification(300, 6, n_informative=4, n_classes=3, random_state=0)
    return X.astype(np.float32), np.array(["a", "b", "c"])[y]


def _trace():
    """Three stages of growing skill on 400 samples of 3 classes, and the true codes."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=400)
    logits = rng.normal(size=(400, 3, 3))
    logits[np.arange(400), :, y] += [1.0, 2.0, 3.0]
    proba = np.exp(logits)
    return Trace(proba / proba.sum(axis=2, keepdims=True)), y


def _require(holds, promise):
    if not holds:
        raise AssertionError(promise)


def _same(one, other, change):
    for a, b in zip(one, other):
        _require(np.array_equal(a, b), f"the walk must not change with {change}")


def _close(one, other, change):
    _require(np.allclose(one, other, atol=1e-4), f"answers must not change with {change}")
