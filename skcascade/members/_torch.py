"""A torch module as a scikit-learn classifier."""

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from ..nets import Standardized
from ..utils._sklearn import Interval, StrOptions, _fit_context
from ..utils._skorch import as_numpy, as_tensor, torch_seed
from ._build import build_module, check_logits
from ._training import hold_out, train_net

__all__ = ["TorchClassifier"]

# Values of X in one forward pass of predict_proba: 8 MB, 682 images of 3x32x32.
_BLOCK_VALUES = 2**21
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class TorchClassifier(ClassifierMixin, BaseEstimator):
    """A torch module as a classifier that keeps scikit-learn's contract.

    The module is trained by skorch (AdamW, cross-entropy on logits). It takes labels of
    any kind, data frames, float64 and images (n_samples, channels, height, width).

    Parameters
    ----------
    module : callable, torch.nn.Module or None, default=None
        A class or callable is called with those of `n_features` (values per sample),
        `in_channels` (``X.shape[1]``) and `n_classes` that its signature names, and with
        `module_params`. A module is copied and trained from the weights it has. None is
        :class:`~skcascade.nets.MLP`. It must give logits of shape (n_samples, n_classes).
    module_params : dict or None, default=None
        Further keyword arguments for a class or callable, e.g. ``{"hidden": (128,)}``.
    max_epochs : int, default=30
        Passes over the training rows; `early_stopping` may end sooner.
    lr : float, default=5e-3
        Learning rate of AdamW; with a `schedule`, the largest one.
    weight_decay : float, default=1e-2
        Decoupled weight decay of AdamW.
    batch_size : int or "auto", default="auto"
        Rows per step. "auto" is a fortieth of the training rows, but 16 to 128.
    schedule : {"one_cycle", "cosine"} or None, default="one_cycle"
        How the learning rate moves from batch to batch, over `max_epochs`.
    early_stopping : bool or "auto", default="auto"
        Hold out `validation_fraction` of the rows, stop when their loss has not improved
        for `patience` epochs, and keep the best weights. "auto": if no class is too rare.
    validation_fraction : float, default=0.1
        Share of the rows held out for `early_stopping`, stratified.
    patience : int, default=10
        Epochs without improvement before training stops.
    standardize : bool, default=True
        Subtract the mean and divide by the standard deviation of the training rows, per
        feature or channel (the second dimension of `X`); both are buffers of `module_`.
    dtype : {"auto", "float32", "bfloat16"}, default="auto"
        Precision inside the module; weights and softmax are float32 in any case.
        "auto" is bfloat16 for 4-D input on devices where it is faster (CPUs with
        AVX512_BF16 predict in it, but train in float32), for any number of rows; else
        float32.
    device : str, default="cpu"
        Where to train and predict, by torch's name for it.
    callbacks : list or None, default=None
        Further skorch callbacks or (name, callback) pairs, cloned into ``net_.callbacks_``.
    random_state : int, RandomState instance or None, default=None
        Seeds weights, split and order of rows; torch's global generators are restored.
    verbose : int, default=0
        1 prints skorch's table of epochs.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, in the order of the columns of `predict_proba`.
    module_ : torch.nn.Module
        The trained module, in evaluation mode. It maps *raw* float32 rows (not
        standardized ones) to logits and may be trained further in place.
    net_ : skorch.NeuralNetClassifier
        The net that trained it. Its labels are the codes 0, ..., n_classes - 1.
    history_ : skorch.history.History
        One record per epoch: `train_loss`; with early stopping `valid_loss`, `valid_acc`.
    n_iter_ : int
        Epochs run.
    sample_shape_ : tuple of int
        Shape of one sample, ``X.shape[1:]``.
    n_features_in_, feature_names_in_ : int, ndarray of shape (n_features_in_,)
        ``X.shape[1]`` (channels for images); the names of a data frame's columns.

    Notes
    -----
    Ctrl-C ends `fit` with a KeyboardInterrupt. A callback that raises KeyboardInterrupt stops the
    training early instead, as skorch's own do, and the estimator is fitted up to there.
    To load a fitted estimator in another process (joblib's loky, a saved file), the
    module's class must be importable there, so it must not be defined in `__main__`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcascade.members import TorchClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = TorchClassifier(module_params={"hidden": (16,)}, random_state=0).fit(X, y)
    >>> clf.predict_proba(X[:2]).shape
    (2, 3)
    >>> round(float(clf.score(X, y)), 1)
    1.0
    """

    #: Number of exits, for a cascade.
    n_exits = 1

    _parameter_constraints: dict = {
        "module": [callable, None],
        "module_params": [dict, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "schedule": [StrOptions({"one_cycle", "cosine"}), None],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean"],
        "dtype": [StrOptions({"auto", "float32", "bfloat16"})],
        "device": [str, torch.device],
        "callbacks": [list, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        module: Callable | torch.nn.Module | None = None,
        *,
        module_params: dict[str, Any] | None = None,
        max_epochs: int = 30,
        lr: float = 5e-3,
        weight_decay: float = 1e-2,
        batch_size: int | Literal["auto"] = "auto",
        schedule: Literal["one_cycle", "cosine"] | None = "one_cycle",
        early_stopping: bool | Literal["auto"] = "auto",
        validation_fraction: float = 0.1,
        patience: int = 10,
        standardize: bool = True,
        dtype: Literal["auto", "float32", "bfloat16"] = "auto",
        device: str | torch.device = "cpu",
        callbacks: list | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.module = module
        self.module_params = module_params
        self.max_epochs = max_epochs
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.schedule = schedule
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.standardize = standardize
        self.dtype = dtype
        self.device = device
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Train the module from the start.

        Parameters
        ----------
        X : array-like or tensor of shape (n_samples, n_features) or (n_samples, ...)
            Finite numbers; they are taken as float32.
        y : array-like of shape (n_samples,)
            Labels of at least two classes.

        Returns
        -------
        self : TorchClassifier

        Raises
        ------
        ValueError
            If there is only one class, the module does not fit `X` and `y`, a class is too
            rare for `early_stopping=True`, or training diverges.
        """
        X, codes = self._check_training_rows(X, y)
        random_state = check_random_state(self.random_state)
        train, valid = hold_out(X, codes, self, random_state)
        device, n_classes = torch.device(self.device), len(self.classes_)
        with torch_seed(random_state.randint(2**31 - 1), device):
            module = build_module(self.module, self.module_params, X.shape[1:], n_classes)
            if self.standardize:
                module = Standardized.from_rows(module, train.X)
            if X.ndim == 4:
                module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            check_logits(module.to(device).eval(), train.X[:2].to(device), n_classes)
            self.net_ = train_net(module, train, valid, self)
        self.history_ = self.net_.history
        self.n_iter_ = len(self.history_)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Predict the probability of each class.

        Parameters
        ----------
        X : array-like or tensor of shape (n_samples, *sample_shape_)

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float32
            Columns in the order of `classes_`; rows sum to one.
        """
        check_is_fitted(self)
        return self.step(0, X)[0]

    def step(self, exit: int, X: Any, cached: Any = None) -> tuple[NDArray[np.float32], None]:
        """Answer as a stage of a cascade, which knows that it is fitted.

        Parameters
        ----------
        exit : int
            0: there is one exit.
        X : array-like or tensor of shape (n_samples, *sample_shape_)
        cached : None
            There are no states to continue from.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float32
        state : None
        """
        X = self._check_rows(X)
        net = self.net_
        module = net.module_
        if module.training:
            module.eval()
        size = max(16, _BLOCK_VALUES // math.prod(self.sample_shape_))
        with torch.inference_mode():
            blocks = [
                torch.softmax(net.infer(as_tensor(X[i : i + size])), 1, torch.float32)
                for i in range(0, len(X), size)
            ]
            proba = blocks[0] if len(blocks) == 1 else torch.cat(blocks)
            return proba.cpu().numpy(), None

    def predict(self, X: Any) -> NDArray:
        """Predict the most probable class.

        Parameters
        ----------
        X : array-like or tensor of shape (n_samples, *sample_shape_)

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    @property
    def module_(self) -> torch.nn.Module:
        """The trained module."""
        # Not stored: skorch pickles its module separately, so a second reference would
        # become a second copy.
        return self.net_.module_

    def _check_training_rows(self, X, y):
        X, y = validate_data(
            self, as_numpy(X), as_numpy(y), dtype=np.float32, allow_nd=True, ensure_min_samples=2
        )
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"`y` needs at least two classes, but has one class: {self.classes_}.")
        self.sample_shape_ = X.shape[1:]
        return X, codes

    def _check_rows(self, X):
        X = as_numpy(X)
        # For one row, validate_data takes four times as long as a small MLP. It is skipped
        # where it would find nothing. A finite sum has finite terms.
        plain = type(X) is np.ndarray and X.dtype in _FLOATS and len(X) > 0
        if plain and X.shape[1:] == self.sample_shape_ and not hasattr(self, "feature_names_in_"):
            with np.errstate(over="ignore", invalid="ignore"):
                X = X.astype(np.float32, copy=False)
                if math.isfinite(X.sum()):
                    return X
        X = validate_data(self, X, dtype=np.float32, allow_nd=True, reset=False)
        if X.shape[1:] != self.sample_shape_:
            raise ValueError(
                f"`X` has samples of shape {X.shape[1:]}, but {type(self).__name__} was fitted"
                f" on samples of shape {self.sample_shape_}; reshape `X`."
            )
        return X
