"""How each kind of estimator becomes a member: fitting, labels, steps.

A member offers `fit`, `labels`, `n_exits` and `step`. An ordinary classifier is one stage that
holds nothing; it is fitted on the original labels. A skorch net is fitted on codes, in float32.
"""

import sys

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array

__all__ = ["adapt", "as_estimator", "freeze", "is_local_net", "thaw"]


class EstimatorMember:
    """An ordinary classifier: one stage, nothing held.

    Parameters
    ----------
    estimator : classifier
        With `predict_proba`.
    seed : int or None
        Of what is random in its fit and not seeded yet.
    """

    n_exits = 1

    def __init__(self, estimator, seed=None):
        self.estimator = estimator
        self.seed = seed

    def seeded(self, seed):
        """The member of a clone in which every `random_state` that is None is `seed`."""
        estimator = clone(self.estimator)
        if seed is not None:
            unset = {
                name: seed
                for name, value in estimator.get_params(deep=True).items()
                if name.split("__")[-1] == "random_state" and value is None
            }
            estimator.set_params(**unset)
        return type(self)(estimator, seed)

    def fit(self, X, y, codes, **params):
        """Fit on the original labels `y`."""
        self.estimator = self.estimator.fit(X, y, **params)
        return self

    @property
    def labels(self):
        """Labels of the columns; None where they are the codes of the cascade."""
        return np.asarray(self.estimator.classes_)

    def step(self, exit, X, held):
        """Probabilities (n_rows, n_labels), and nothing to go on from."""
        return np.asarray(self.estimator.predict_proba(X)), None

    def trainable(self):
        """Whether it has weights that may be trained further."""
        return free_net(self.estimator)[0] is not None

    def joint(self, *samples):
        """Its weights as a part of a larger module, and the rows that reach them.

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
    """A pipeline that ends in a raw skorch net: it speaks codes 0 to n_classes - 1."""

    labels = None

    def fit(self, X, y, codes, **params):
        """Fit on `codes` as int64."""
        import torch

        with torch.random.fork_rng(enabled=self.seed is not None):
            if self.seed is not None:
                torch.manual_seed(self.seed)
            return super().fit(X, codes.astype(np.int64), codes, **params)

    def step(self, exit, X, held):
        """Probabilities (n_rows, n_classes), and nothing to go on from."""
        import torch

        with torch.random.fork_rng(devices=[]):  # iterating over a DataLoader draws a seed
            return super().step(exit, X, held)


class NetMember(CodedMember):
    """A raw skorch net: codes, and inputs as float32."""

    def fit(self, X, y, codes, **params):
        """Fit on float32 inputs and codes."""
        return super().fit(as_float32(X), y, codes, **params)

    def step(self, exit, X, held):
        """Probabilities (n_rows, n_classes), and nothing to go on from."""
        return super().step(exit, as_float32(X), held)


class StepMember(EstimatorMember):
    """A classifier with several exits: it offers `n_exits` and `step` itself."""

    @property
    def n_exits(self):
        """Number of exits of the fitted estimator."""
        return self.estimator.n_exits

    def step(self, exit, X, held):
        """What the estimator says at `exit`, going on from `held`."""
        return self.estimator.step(exit, X, held)

    @property
    def block_rows(self):
        """Rows to be handled at once, so that what is held stays small; None: any number."""
        return getattr(self.estimator, "block_rows", None)


class StepNetMember(StepMember, NetMember):
    """A raw skorch net with several exits: codes, and inputs as float32."""

    def step(self, exit, X, held):
        """What the net says at `exit`; where it goes on from `held`, it does not look at `X`."""
        return super().step(exit, as_float32(X) if held is None else X, held)


def adapt(estimator):
    """The member that `estimator` makes."""
    inner = thaw(estimator)
    if hasattr(estimator, "step"):
        return StepNetMember(estimator) if is_net(inner) else StepMember(estimator)
    if is_net(inner):
        return NetMember(estimator)
    while isinstance(inner, Pipeline):
        inner = thaw(inner.steps[-1][1])
    return CodedMember(estimator) if is_net(inner) else EstimatorMember(estimator)


def free_net(estimator):
    """The skorch net in `estimator` that may be trained further, and what prepares its rows.

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


def thaw(estimator):
    """The estimator inside a :class:`~sklearn.frozen.FrozenEstimator`, or itself."""
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def as_estimator(member):
    """`member`, or the :class:`TorchClassifier` of a bare module or module class."""
    if is_module(member):
        from ._torch import TorchClassifier

        return TorchClassifier(member)
    return member


def freeze(estimator):
    """`estimator` as one that `fit` leaves alone."""
    return estimator if isinstance(estimator, FrozenEstimator) else FrozenEstimator(estimator)


def is_module(member):
    """Whether `member` is an `nn.Module` or a class of them (without importing torch)."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    kind = member if isinstance(member, type) else type(member)
    return issubclass(kind, torch.nn.Module)


def is_net(estimator):
    """Whether `estimator` is a raw skorch net (without importing skorch)."""
    skorch = sys.modules.get("skorch")
    return skorch is not None and isinstance(estimator, skorch.NeuralNet)


def is_local_net(estimator):
    """Whether `estimator` holds a torch module whose class is defined in `__main__`.

    Other processes cannot import it, so that a fitted net cannot come back from them.
    """
    estimator = thaw(estimator)
    if is_module(estimator):
        parts = [estimator] if isinstance(estimator, type) else estimator.modules()
        kinds = (part if isinstance(part, type) else type(part) for part in parts)
        return any(kind.__module__ == "__main__" for kind in kinds)
    if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
        return False
    return any(is_local_net(value) for value in estimator.get_params(deep=True).values())


def as_float32(X):
    """Inputs as nets take them: numbers as float32.

    Integers in tensors and dicts stay what they are: they may be tokens.
    """
    if isinstance(X, dict):
        return {key: _float32_if_double(np.asarray(value)) for key, value in X.items()}
    if hasattr(X, "is_floating_point"):  # a tensor
        return X.float() if X.is_floating_point() else X
    return check_array(X, dtype=np.float32, allow_nd=True, ensure_2d=False)


def _float32_if_double(values):
    return values.astype(np.float32) if values.dtype == np.float64 else values
