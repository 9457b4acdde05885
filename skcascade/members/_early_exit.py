"""A torch net with several exits, trained and run by skorch."""

import math

import numpy as np
import torch
from skorch.utils import data_from_dataset, is_dataset, to_numpy, to_tensor
from torch import nn

from skcascade.members._build import check_exits, sizes_named
from skcascade.members._phases import PhasedNet
from skcascade.members._rows import ArrayRows, HeldRows, RowLoader
from skcascade.utils._skorch import as_tensor, bfloat16_pays

__all__ = ["EarlyExitNetClassifier"]

# Values of X in one forward pass of `step`: 1 MB, 85 images of 3x32x32. What is hidden is
# larger, and pages of memory of more than 32 MB are fetched anew for every layer.
_BLOCK_VALUES = 2**18
# What is held of the rows of one block of a walk stays below this many bytes.
_HELD_BYTES = 2**28


class EarlyExitNetClassifier(PhasedNet):
    """A net with several exits: each is a stage, and goes on from what the one before computed.

    A :class:`skorch.NeuralNetClassifier`, so all of skorch works: callbacks, `train_split`,
    `partial_fit`, `set_params`. Its own answer is that of the last exit. Like any skorch
    net it wants float32 rows and classes 0, ..., n_classes - 1 (int); a cascade sees to both.

    Parameters
    ----------
    module : torch.nn.Module class, callable or instance
        Makes an :class:`~skcascade.nets.EarlyExitNet`. Those of `n_features` (values per
        sample), `in_channels` (``X.shape[1]``) and `n_classes` that its signature names are
        taken from the data, unless they are given, ``module__n_classes=...``.

    training : {"joint", "backtrack"}, default="joint"
        "joint" trains everything on the weighted sum of the losses of all exits.
        "backtrack" trains trunk and last exit first, then, from the last but one to the
        first, each other exit with all else frozen, batch norm included.

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
        "auto": for 4-D input on devices where it pays (CPUs with AVX512_BF16 predict in
        it, but train in float32).

    dataset, iterator_train, iterator_valid, iterator_train__shuffle, verbose
        As for skorch, but batches are fetched whole, training rows are shuffled, a last
        batch of one row is left out in training, and nothing is printed.

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
        Rows that a cascade handles at once, so that what is held stays below 256 MiB.

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
        module,
        *args,
        training="joint",
        exit_weights=None,
        head_epochs=None,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        lr=3e-3,
        bfloat16="auto",
        dataset=ArrayRows,
        iterator_train=RowLoader,
        iterator_valid=RowLoader,
        iterator_train__shuffle=True,
        verbose=0,
        **kwargs,
    ):
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
    def n_exits(self):
        """Number of exits of the initialized net."""
        return len(self.module_.exits)

    @property
    def block_rows(self):
        """Rows that a cascade handles at once; None where nothing was fitted here."""
        return getattr(self, "block_rows_", None)

    def step(self, exit, X, held):
        """Answer of one exit.

        Parameters
        ----------
        exit : int

        X : array or tensor of shape (n_samples, ...)
            Finite numbers. With `held`, only its shape matters.

        held : Held or None
            An earlier exit and what this method gave there for the same rows. The trunk is
            run from there on, or from `X`, and no other head is.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float32

        state : HeldRows or None
            What later exits can go on from; `state[index]` selects rows. None at the last.
        """
        if self.module_.training:
            self.module_.eval()
        size = max(16, _BLOCK_VALUES // max(1, math.prod(np.shape(X)[1:])))
        first = 0 if held is None else held.exit + 1
        softmax, proba, parts = self._get_predict_nonlinearity(), [], []
        with torch.inference_mode(), self._autocast(X):
            for hidden in self._inputs(X, size) if held is None else held.state.blocks(size):
                hidden, logits = self._run(first, exit, hidden)
                proba.append(softmax(logits.float()))
                parts.append(hidden)
            proba = proba[0] if len(proba) == 1 else torch.cat(proba)
        return proba.cpu().numpy(), HeldRows(parts) if exit < self.n_exits - 1 else None

    def _run(self, first, exit, hidden):
        """What is hidden at `exit`, and its logits."""
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
            enabled = np.ndim(x) == 4 and bfloat16_pays(device, self.module_.training)
        return torch.autocast(device.type, torch.bfloat16, enabled=bool(enabled))

    # What skorch calls ----------------------------------------------------------------

    def infer(self, x, **fit_params):
        """Logits of all exits for a batch `x`, or of the one that is being trained: a tuple."""
        x = to_tensor(x, device=self.device)
        with self._autocast(x):
            x = self._input(x)
            if self.phase_ is None:
                logits = self.module_(x, **fit_params)
            else:
                logits = (self._run(0, self.phase_, x)[1],)
        return tuple(part.float() for part in logits)

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        """Weighted sum of the losses of the exits in `y_pred`."""
        loss, y_true = super().get_loss, to_tensor(y_true, device=self.device).long()
        weights = [1.0] if self.phase_ is not None else self._weights()
        return sum(w * loss(part, y_true, *args, **kwargs) for w, part in zip(weights, y_pred))

    def predict_proba(self, X):
        """Probabilities of the last exit, of shape (n_samples, n_classes)."""
        softmax = self._get_predict_nonlinearity()
        return np.concatenate([to_numpy(softmax(parts[-1])) for parts in self.forward_iter(X)])

    def initialize_module(self):
        """Build the module; sizes that it names and nobody gave are those of the data."""
        given, factory = self.get_params_for("module"), self.module
        if given or not isinstance(factory, nn.Module):
            factory = type(factory) if isinstance(factory, nn.Module) else factory
            sizes = sizes_named(factory, *self.sizes_) if hasattr(self, "sizes_") else {}
            given = {**sizes, **given}
        self.module_ = _checked(self.initialized_instance(self.module, given))
        return self

    def fit(self, X, y, **fit_params):
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
            self._note_sizes(X, y, self.classes)
        return super().fit(X, y, **fit_params)

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train on from where the net is; as skorch's, but `classes` sizes a new module."""
        if not self.initialized_:
            self._note_sizes(X, y, self.classes if classes is None else classes)
            self.initialize()
        self._check_parameters()
        if self.training == "backtrack":
            return self.backtrack(X, y, classes, **fit_params)
        return super().partial_fit(X, y, classes, **fit_params)

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Check the module on two rows."""
        super().on_train_begin(net, X=X, y=y, **kwargs)
        if hasattr(self, "sizes_") and isinstance(X, (np.ndarray, torch.Tensor)):
            self.module_.eval()
            check_exits(self.module_, next(self._inputs(X[:2], 2)), self.sizes_[1])

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Note how much is held of a row."""
        super().on_train_end(net, X=X, y=y, **kwargs)
        self._set_training(False)  # a head may train while the module as a whole does not
        if isinstance(X, (np.ndarray, torch.Tensor)):
            states = [self.step(exit, X[:1], None)[1] for exit in range(self.n_exits - 1)]
            self.block_rows_ = max(1, _HELD_BYTES // max(1, sum(s.nbytes for s in states)))

    # Parameters -----------------------------------------------------------------------

    def _note_sizes(self, X, y, classes):
        """Keep the shape of a sample and the number of classes for `initialize_module`."""
        if is_dataset(X):
            X, y = data_from_dataset(X)
        y = to_numpy(y)
        if y.dtype.kind not in "iu" or y.min() < 0:
            raise ValueError(
                "y must hold classes 0, ..., n_classes - 1 as int; encode it with sklearn's "
                "LabelEncoder, or let a CascadeClassifier do so."
            )
        self.sizes_ = tuple(np.shape(X)[1:]), int(y.max()) + 1 if classes is None else len(classes)

    def _check_parameters(self):
        if self.training not in ("joint", "backtrack"):
            raise ValueError(f"training must be 'joint' or 'backtrack', got {self.training!r}.")
        if self.head_epochs is not None and self.head_epochs < 1:
            raise ValueError(f"head_epochs must be 1 or more, or None, got {self.head_epochs!r}.")
        weights = np.asarray(self._weights(), dtype=float)
        good = weights.shape == (self.n_exits,) and np.isfinite(weights).all()
        if not (good and (weights >= 0).all() and weights.any()):
            raise ValueError(
                f"exit_weights must be {self.n_exits} finite numbers, one for each exit, 0 or"
                f" more and not all 0, or None, got {self.exit_weights!r}."
            )

    def _weights(self):
        return [1.0] * self.n_exits if self.exit_weights is None else self.exit_weights


def _checked(module):
    """`module` if it has as many exits as blocks, else an error."""
    needs = "blocks", "exits", "advance", "answer"
    lacks = [name for name in needs if not hasattr(module, name)]
    if lacks or not isinstance(module, nn.Module):
        raise TypeError(
            f"module must make a net with exits, but {type(module).__name__} has no"
            f" {', '.join(lacks)}; derive it from skcascade.nets.EarlyExitNet."
        )
    if len(module.blocks) != len(module.exits):
        raise ValueError(
            f"module must have as many blocks as exits, but has {len(module.blocks)} and"
            f" {len(module.exits)}; give one exit for each block."
        )
    return module
