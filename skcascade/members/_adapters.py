"""How each kind of estimator becomes a member: fitting, labels, steps.

A member offers `fit`, `labels`, `n_exits` and `step`. An ordinary classifier is one stage that
caches nothing, and is fitted on the original labels. A skorch net is fitted on codes, in float32.
"""

import sys
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array

from ..evidence._stages import CachedState
from ..utils._interrupt import raise_interrupts
from ..utils._seed import seed_unset

__all__ = ["adapt", "as_estimator", "freeze", "is_local_net", "unwrap_frozen"]


class EstimatorMember:
    """An ordinary classifier: one stage, nothing cached.

    Parameters
    ----------
    estimator : classifier
        With `predict_proba`.
    seed : int or None, default=None
        Seed of what is random in its fit and not seeded yet.
    """

    n_exits: Any = 1

    def __init__(self, estimator: Any, seed: int | None = None) -> None:
        self.estimator = estimator
        self.seed = seed

    def seeded(self, seed: int | None) -> Self:
        """Make the member of a clone in which every `random_state` that is None is `seed`."""
        return type(self)(seed_unset(self.estimator, seed), seed)

    def fit(self, X: Any, y: Any, codes: NDArray, **params: Any) -> Self:
        """Fit on the original labels `y`."""
        with raise_interrupts():
            self.estimator = self.estimator.fit(X, y, **params)
        return self

    @property
    def labels(self) -> NDArray | None:
        """Labels of the columns; None where they are the codes of the cascade."""
        return np.asarray(self.estimator.classes_)

    def step(self, exit: int, X: Any, cached: CachedState | None) -> tuple[NDArray, Any]:
        """Predict probabilities (n_rows, n_labels); None: there is no state to continue from."""
        return np.asarray(self.estimator.predict_proba(X)), None

    def trainable(self) -> bool:
        """Whether it has weights that may be trained further."""
        return free_net(self.estimator)[0] is not None

    def joint(self, *samples: Any) -> tuple[Any, list]:
        """Make its weights a part of a larger module, and prepare the rows that reach them.

        Only where there are weights that may be trained.

        Parameters
        ----------
        *samples : samples

        Returns
        -------
        module : torch.nn.Module
            Maps rows to log-probabilities (n_rows, n_exits, n_labels); its weights are
            those of the member.
        inputs : list
            Each of `samples` as tensors that `module` takes.
        """
        from ._joint import LogProba, as_tensors

        net, prepare = free_net(self.estimator)
        return LogProba(net), [as_tensors(as_float32(prepare(X))) for X in samples]


class CodedMember(EstimatorMember):
    """A pipeline that ends in a raw skorch net: its labels are codes 0 to n_classes - 1."""

    labels = None

    def fit(self, X: Any, y: Any, codes: NDArray, **params: Any) -> Self:
        """Fit on `codes` as int64."""
        from ..utils._skorch import torch_seed

        with torch_seed(self.seed):
            super().fit(X, codes.astype(np.int64), codes, **params)
        net, _ = free_net(self.estimator)
        if net is not None:
            net.module_.zero_grad()  # gradients are as large as the weights
        return self

    def step(self, exit: int, X: Any, cached: CachedState | None) -> tuple[NDArray, Any]:
        """Predict probabilities (n_rows, n_classes); the state of torch's generator is kept."""
        import torch

        with torch.random.fork_rng(devices=[]):  # iterating over a DataLoader draws a seed
            return super().step(exit, X, cached)


class NetMember(CodedMember):
    """A raw skorch net: codes, and inputs as float32."""

    def fit(self, X: Any, y: Any, codes: NDArray, **params: Any) -> Self:
        """Fit on float32 inputs and codes."""
        return super().fit(as_float32(X), y, codes, **params)

    def step(self, exit: int, X: Any, cached: CachedState | None) -> tuple[NDArray, Any]:
        """Predict probabilities (n_rows, n_classes) from float32 inputs."""
        return super().step(exit, as_float32(X), cached)


class StepMember(EstimatorMember):
    """A classifier that offers `n_exits` and `step` itself: nets with exits, torch classifiers."""

    @property
    def n_exits(self) -> int:
        """Number of exits of the fitted estimator."""
        return self.estimator.n_exits

    def step(self, exit: int, X: Any, cached: CachedState | None) -> tuple[NDArray, Any]:
        """Predict at `exit`, continuing from `cached`; also return the state there."""
        return self.estimator.step(exit, X, cached)

    @property
    def block_rows(self) -> int | None:
        """Rows to handle at once, so that what is cached stays small; None: any number."""
        return getattr(self.estimator, "block_rows", None)


class StepNetMember(StepMember, NetMember):
    """A raw skorch net with several exits: codes, and inputs as float32."""

    def step(self, exit: int, X: Any, cached: CachedState | None) -> tuple[NDArray, Any]:
        """Predict at `exit`, continuing from `cached`; only without it are inputs converted."""
        return super().step(exit, as_float32(X) if cached is None else X, cached)


def adapt(estimator: Any) -> EstimatorMember:
    """Make a member of `estimator`."""
    inner = unwrap_frozen(estimator)
    if hasattr(estimator, "step"):
        return StepNetMember(estimator) if is_net(inner) else StepMember(estimator)
    if is_net(inner):
        return NetMember(estimator)
    while isinstance(inner, Pipeline):
        inner = unwrap_frozen(inner.steps[-1][1])
    return CodedMember(estimator) if is_net(inner) else EstimatorMember(estimator)


def free_net(estimator: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Find the skorch net in `estimator` that may be trained further, and what prepares its rows.

    Returns
    -------
    net : skorch.NeuralNet or None
        None where there is none, or it is frozen.
    prepare : callable
        From samples of the member to those of the net.
    """
    if isinstance(estimator, Pipeline):
        net, prepare = free_net(estimator.steps[-1][1])
        before = estimator[:-1] if len(estimator) > 1 else None
        return net, lambda X: prepare(X if before is None else before.transform(X))
    net = None if isinstance(estimator, FrozenEstimator) else getattr(estimator, "net_", estimator)
    return (net if is_net(net) else None), lambda X: X


def unwrap_frozen(estimator: Any) -> Any:
    """Return the estimator inside a :class:`~sklearn.frozen.FrozenEstimator`, or itself."""
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def as_estimator(member: Any) -> Any:
    """Return `member`, or the :class:`TorchClassifier` of a module or module class."""
    if is_module(member):
        from ._torch import TorchClassifier

        return TorchClassifier(member)
    return member


def freeze(estimator: Any) -> Any:
    """Wrap `estimator`, so that `fit` does not change it."""
    return estimator if isinstance(estimator, FrozenEstimator) else FrozenEstimator(estimator)


def is_module(member: Any) -> bool:
    """Whether `member` is an `nn.Module` or a class of them (without importing torch)."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    kind = member if isinstance(member, type) else type(member)
    return issubclass(kind, torch.nn.Module)


def is_net(estimator: Any) -> bool:
    """Whether `estimator` is a raw skorch net (without importing skorch)."""
    skorch = sys.modules.get("skorch")
    return skorch is not None and isinstance(estimator, skorch.NeuralNet)


def is_local_net(estimator: Any) -> bool:
    """Whether `estimator` holds a torch module whose class is defined in `__main__`.

    Other processes cannot import it, so they cannot return a fitted net.
    """
    estimator = unwrap_frozen(estimator)
    if is_module(estimator):
        parts = [estimator] if isinstance(estimator, type) else estimator.modules()
        kinds = (part if isinstance(part, type) else type(part) for part in parts)
        return any(kind.__module__ == "__main__" for kind in kinds)
    if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
        return False
    return any(is_local_net(value) for value in estimator.get_params(deep=True).values())


def as_float32(X: Any) -> Any:
    """Convert inputs to what nets take: numbers as float32.

    Integers in tensors and dicts stay what they are: they may be tokens.
    """
    if isinstance(X, dict):
        return {key: _float32_if_double(np.asarray(value)) for key, value in X.items()}
    if hasattr(X, "is_floating_point"):  # a tensor
        return X.float() if X.is_floating_point() else X
    return check_array(X, dtype=np.float32, allow_nd=True, ensure_2d=False)


def _float32_if_double(values):
    return values.astype(np.float32) if values.dtype == np.float64 else values
