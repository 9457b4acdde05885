"""Metadata of `fit`: weights and groups for members, policy and splitter."""

from __future__ import annotations

from typing import Any, NamedTuple

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch
from sklearn.utils.metadata_routing import (
    MetadataRequest,
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import has_fit_parameter

from ..members._adapters import as_estimator
from ..policies import ConfidenceThreshold
from ..utils._sklearn import _raise_for_params, _routing_enabled
from ..utils._warn import warn

__all__ = ["Metadata", "build_router", "route_metadata"]


class Metadata(NamedTuple):
    """What goes where.

    Attributes
    ----------
    members : list of dict
        For `fit` of each member.
    weight : array-like of shape (n_samples,) or None
        For the policy.
    split : dict
        For `split` of the splitter.
    """

    members: list[dict[str, Any]]
    weight: Any
    split: dict[str, Any]


def build_router(cascade: Any, subgroups: Any = True) -> MetadataRouter:
    """How metadata is routed to members, policy and splitter.

    The default policy uses weights, so it requests them. The cascade itself requests `subgroups`
    as given: True, False, None or another name for them.
    """
    own = MetadataRequest(owner=cascade)
    own.fit.add_request(param="subgroups", alias=subgroups)
    router = MetadataRouter(owner=cascade).add_self_request(own)
    policy = cascade.policy
    if policy is None:
        policy = ConfidenceThreshold().set_fit_request(sample_weight=True)
    for name, estimator in [*(cascade.members or []), ("policy", policy)]:
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router.add(**{name: as_estimator(estimator)}, method_mapping=mapping)
    if hasattr(cascade.cv, "get_metadata_routing"):
        mapping = MethodMapping().add(caller="fit", callee="split")
        router.add(splitter=cascade.cv, method_mapping=mapping)
    return router


def route_metadata(cascade: Any, members: Any, sample_weight: Any, fit_params: dict) -> Metadata:
    """Send metadata where it belongs.

    With routing, as everything requests it. Without, `sample_weight` goes to the policy and to
    all members that take it.

    Warns
    -----
    CascadeWarning
        Without routing, if a member cannot take `sample_weight`.
    """
    if _routing_enabled():
        given = fit_params if sample_weight is None else {"sample_weight": sample_weight}
        routed = process_routing(cascade, "fit", **{**fit_params, **given})
        nothing = Bunch(fit={}, split={})  # default members are not routed to
        params = [routed.get(name, nothing).fit for name in members.names]
        split = routed.get("splitter", nothing).split
        return Metadata(params, routed["policy"].fit.get("sample_weight"), split)
    _raise_for_params(fit_params, cascade, "fit")
    if sample_weight is None:
        return Metadata([{} for _ in members.names], None, {})
    named = zip(members.names, members.estimators)
    params = [_weights(name, estimator, sample_weight) for name, estimator in named]
    return Metadata(params, sample_weight, {})


def _weights(name, estimator, sample_weight):
    """Keyword arguments of `fit` of a member: weights, for the last step of a pipeline."""
    prefix, inner = "", estimator
    while isinstance(inner, Pipeline):
        step, inner = inner.steps[-1]
        prefix += f"{step}__"
    if has_fit_parameter(inner, "sample_weight"):
        return {f"{prefix}sample_weight": sample_weight}
    if not isinstance(estimator, FrozenEstimator):
        warn(
            f"Member {name!r} ({type(inner).__name__}) cannot take `sample_weight` and is fitted"
            " without it, on another problem than the rest of the cascade. Choose a member that"
            " takes weights, or resample the rows."
        )
    return {}
