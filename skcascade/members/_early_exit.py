"""A torch net with several exits, trained and run by skorch."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from skorch.utils import to_numpy, to_tensor
from torch import nn

from ..evidence._stages import CachedState
from ..utils._skorch import as_tensor, bfloat16_is_faster
from ._build import check_exits, select_sizes
from ._exit_checks import check_has_exits, check_parameters, measure_sizes
from ._phases import PhasedNet
from ._rows import ArrayRows, CachedRows, RowLoader

__all__ = ["EarlyExitNetClassifier"]

# Values of X in one forward pass of `step`: 1 MB, 85 images of 3x32x32. Hidden states are
# larger, and allocations of more than 32 MB get new pages of memory for every layer.
_BLOCK_VALUES = 2**18
# What is cached of the rows of one block of a walk stays below this many bytes.
_CACHED_BYTES = 2**28


class EarlyExitNetClassifier(PhasedNet):
    """A net with several exits: each is a stage that continues from the one before.

    A :class:`skorch.NeuralNetClassifier`, so all of skorch works: callbacks, `train_split`,
    `partial_fit`, `set_params`. Its own prediction is that of the last exit. Like any skorch
    net it needs float32 rows and classes 0, ..., n_classes - 1 (int). A cascade converts both.

    Parameters
    ----------
    module : torch.nn.Module class, callable or instance
        Makes an :class:`~skcascade.nets.EarlyExitNet`. Those of `n_features` (values per
        sample), `in_channels` (``X.shape[1]``) and `n_classes` that its signature names are
        taken from the data, unless they are given, ``module__n_classes=...``.
    training : {"joint", "backtrack"}, default="joint"
        "joint" trains everything on the weighted sum of the losses of all exits.
        "backtrack" trains trunk and last exit first. Then it trains each other exit, from
        the last but one to the first, with all else frozen, batch norm included.
    exit_weights : sequence of float or None, default=None
        Weight of the loss of each exit in joint training; None: all 1. Ignored by
        "backtrack", which trains one exit at a time.
    head_epochs : int or None, default=None
        Epochs for each of the frozen phases of "backtrack". None: `max_epochs`.
    criterion : torch.nn.Module class, default=torch.nn.CrossEntropyLoss
        Loss of the logits (n_samples, n_classes) of one exit.
    optimizer : torch.optim.Optimizer class, default=torch.optim.AdamW
        In "backtrack", each phase has a new one, new callbacks, and a column `exit` in
        `history`.
    lr : float, default=3e-3
        Learning rate.
    max_epochs : int, default=10
        Passes over the training rows; in "backtrack", of its first phase.
    bfloat16 : bool or "auto", default="auto"
        Run the module under autocast; weights, loss and softmax are float32 in any case.
        "auto": for 4-D input on devices where it is faster (CPUs with AVX512_BF16 predict
        in it, but train in float32).
    dataset, iterator_train, iterator_valid, iterator_train__shuffle, verbose
        As for skorch, with other defaults: batches are fetched whole, training rows are
        shuffled, training skips a last batch of one row, and nothing is printed.
    **kwargs
        Further parameters of :class:`skorch.NeuralNetClassifier`.

    Attributes
    ----------
    module_ : torch.nn.Module
        Maps float32 rows to a tuple of the logits of all exits. It may be trained further
        in place.
    n_exits : int
        Number of exits.
    block_rows : int
        Rows that a cascade handles at once, so that what is cached stays below 256 MiB.
    history : skorch.history.History
        One record per epoch.

    Raises
    ------
    TypeError
        By `fit`, if `module` makes something without exits.
    ValueError
        By `fit`, if a parameter is not usable or the module does not fit `X` and `y`.

    See Also
    --------
    skcascade.nets.EarlyExitNet : What the module is derived from.
    skcascade.nets.CascadedResNet : One for images.

    References
    ----------
    Berestizshevsky, Even: Dynamically Sacrificing Accuracy for Reduced Computation,
    ICANN 2019, arXiv 1805.10982 ("backtrack").

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from torch import nn
    >>> from skcascade.members import EarlyExitNetClassifier
    >>> from skcascade.nets import EarlyExitNet
    >>> def two_exits(n_features, n_classes):
    ...     blocks = [nn.Sequential(nn.Linear(width, 32), nn.ReLU()) for width in (n_features, 32)]
    ...     return EarlyExitNet(blocks, [nn.Linear(32, n_classes) for _ in blocks])
    >>> X, y = load_digits(return_X_y=True)
    >>> _ = torch.manual_seed(0)
    >>> net = EarlyExitNetClassifier(two_exits).fit(X.astype("float32"), y)
    >>> net.n_exits
    2
    >>> round(float(net.score(X.astype("float32"), y)), 1)
    1.0
    """

    def __init__(
        self,
        module: Callable | nn.Module,
        *args: Any,
        training: Literal["joint", "backtrack"] = "joint",
        exit_weights: Sequence[float] | None = None,
        head_epochs: int | None = None,
        criterion: Callable = nn.CrossEntropyLoss,
        optimizer: Callable = torch.optim.AdamW,
        lr: float = 3e-3,
        bfloat16: Any = "auto",
        dataset: Callable = ArrayRows,
        iterator_train: Callable = RowLoader,
        iterator_valid: Callable = RowLoader,
        iterator_train__shuffle: bool = True,
        verbose: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            module,
            *args,
            criterion=criterion,
            optimizer=optimizer,
            lr=lr,
            bfloat16=bfloat16,
            dataset=dataset,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            iterator_train__shuffle=iterator_train__shuffle,
            verbose=verbose,
            **kwargs,
        )
        self.training = training
        self.exit_weights = exit_weights
        self.head_epochs = head_epochs

    # From exit to exit ----------------------------------------------------------------

    @property
    def n_exits(self) -> int:
        """Number of exits of the initialized net."""
        return len(self.module_.exits)

    @property
    def block_rows(self) -> int | None:
        """Rows that a cascade handles at once; None if not fitted on arrays or tensors."""
        return getattr(self, "block_rows_", None)

    def step(
        self, exit: int, X: Any, cached: CachedState | None
    ) -> tuple[NDArray, CachedRows | None]:
        """Predict the probabilities of one exit.

        Parameters
        ----------
        exit : int
        X : array or tensor of shape (n_samples, ...)
            Finite numbers. With `cached`, only its shape matters.
        cached : CachedState or None
            An earlier exit and the state that this method returned there for the same rows.
            The trunk runs from there, or from `X`. No head but that of `exit` runs.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float32
        state : CachedRows or None
            What later exits can continue from; `state[index]` selects rows. None at the last.
        """
        if self.module_.training:
            self.module_.eval()
        size = max(16, _BLOCK_VALUES // max(1, math.prod(np.shape(X)[1:])))
        first = 0 if cached is None else cached.exit + 1
        softmax = self._get_predict_nonlinearity()
        answers: list[torch.Tensor] = []
        states: list[Any] = []
        with torch.inference_mode(), self._autocast(X):
            for hidden in self._inputs(X, size) if cached is None else cached.state.blocks(size):
                hidden, logits = self._run(first, exit, hidden)
                answers.append(softmax(logits.float()))
                states.append(hidden)
            proba = answers[0] if len(answers) == 1 else torch.cat(answers)
        return proba.cpu().numpy(), CachedRows(states) if exit < self.n_exits - 1 else None

    def _run(self, first, exit, hidden):
        """Hidden state at `exit`, and its logits."""
        for k in range(first, exit + 1):
            hidden = self.module_.advance(k, hidden)
        return hidden, self.module_.answer(exit, hidden)

    def _inputs(self, X, size):
        """Yield `size` rows of `X` at a time, as the module takes them."""
        for start in range(0, len(X), size):
            rows = X[start : start + size]
            yield self._input(rows if isinstance(rows, torch.Tensor) else as_tensor(rows))

    def _input(self, x):
        if x.ndim == 4:  # faster than the default layout on CPUs
            x = x.contiguous(memory_format=torch.channels_last)
        return x.to(self.device, torch.float32 if x.is_floating_point() else None)

    def _autocast(self, x):
        device, enabled = torch.device(self.device), self.bfloat16
        if enabled == "auto":
            enabled = np.ndim(x) == 4 and bfloat16_is_faster(device, self.module_.training)
        return torch.autocast(device.type, torch.bfloat16, enabled=bool(enabled))

    # What skorch calls ----------------------------------------------------------------

    def infer(self, x: Any, **fit_params: Any) -> tuple[torch.Tensor, ...]:
        """Compute the logits of all exits for a batch `x`, or of the exit in training alone."""
        x = to_tensor(x, device=self.device)
        with self._autocast(x):
            x = self._input(x)
            if self.phase_ is None:
                logits = self.module_(x, **fit_params)
            else:
                logits = (self._run(0, self.phase_, x)[1],)
        return tuple(part.float() for part in logits)

    def get_loss(self, y_pred: Any, y_true: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Compute the weighted sum of the losses of the exits in `y_pred`."""
        loss, y_true = super().get_loss, to_tensor(y_true, device=self.device).long()
        weights = [1.0] if self.phase_ is not None else self._weights()
        return sum(w * loss(part, y_true, *args, **kwargs) for w, part in zip(weights, y_pred))

    def predict_proba(self, X: Any) -> NDArray:
        """Predict the probabilities of the last exit, of shape (n_samples, n_classes)."""
        softmax = self._get_predict_nonlinearity()
        return np.concatenate([to_numpy(softmax(parts[-1])) for parts in self.forward_iter(X)])

    def initialize_module(self) -> Self:
        """Build the module; sizes in its signature that are not given are those of the data."""
        given, factory = self.get_params_for("module"), self.module
        if given or not isinstance(factory, nn.Module):
            factory = type(factory) if isinstance(factory, nn.Module) else factory
            sizes = select_sizes(factory, *self.sizes_) if hasattr(self, "sizes_") else {}
            given = {**sizes, **given}
        self.module_ = check_has_exits(self.initialized_instance(self.module, given))
        return self

    def fit(self, X: Any, y: ArrayLike | None, **fit_params: Any) -> Self:
        """Train from the start.

        Parameters
        ----------
        X : array-like or tensor of shape (n_samples, ...), or Dataset
            Finite numbers; floats are taken as float32.
        y : array-like of int, shape (n_samples,), or None
            Classes 0, ..., n_classes - 1, and each of them unless `classes` is given. None
            for a Dataset.
        **fit_params : dict
            As for skorch.

        Returns
        -------
        self : EarlyExitNetClassifier
        """
        if not (self.warm_start and self.initialized_):
            self.sizes_ = measure_sizes(X, y, self.classes)
        return super().fit(X, y, **fit_params)

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        classes: Sequence | None = None,
        **fit_params: Any,
    ) -> Self:
        """Continue the training; as skorch's, but `classes` sizes a new module."""
        if not self.initialized_:
            self.sizes_ = measure_sizes(X, y, self.classes if classes is None else classes)
            self.initialize()
        check_parameters(self.training, self.head_epochs, self.exit_weights, self.n_exits)
        if self.training == "backtrack":
            return self.backtrack(X, y, classes, **fit_params)
        return super().partial_fit(X, y, classes, **fit_params)

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Check the module on two rows."""
        super().on_train_begin(net, X=X, y=y, **kwargs)
        if hasattr(self, "sizes_") and isinstance(X, (np.ndarray, torch.Tensor)):
            self.module_.eval()
            check_exits(self.module_, next(self._inputs(X[:2], 2)), self.sizes_[1])

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Measure how many bytes are cached per row."""
        super().on_train_end(net, X=X, y=y, **kwargs)
        self._set_training(False)  # a head may train while the module as a whole does not
        if isinstance(X, (np.ndarray, torch.Tensor)):
            states: list[Any] = [
                self.step(exit, X[:1], None)[1] for exit in range(self.n_exits - 1)
            ]
            self.block_rows_ = max(1, _CACHED_BYTES // max(1, sum(s.nbytes for s in states)))

    def _weights(self):
        return [1.0] * self.n_exits if self.exit_weights is None else self.exit_weights
