"""Training the exits of a net one after another: "backtrack"."""

from contextlib import contextmanager
from typing import Any, Self

from skorch.history import History

from ..utils._interrupt import raise_interrupts
from ..utils._skorch import ClassifierNet

__all__ = ["PhasedNet"]


class PhasedNet(ClassifierNet):
    """A skorch net whose exits can be trained alone, the rest frozen.

    To skorch each phase is a training of its own: callbacks, optimizer and history start
    anew. So early stopping ends only the phase, and checkpoints are of the phase alone.

    Attributes
    ----------
    phase_ : int or None
        The exit that is trained alone at the moment; None: all are.
    """

    phase_: int | None = None
    n_exits: Any
    module_: Any
    head_epochs: int | None

    def backtrack(self, X: Any, y: Any, classes: Any, **fit_params: Any) -> Self:
        """Train trunk and last exit, then each earlier exit alone, backwards.

        Parameters
        ----------
        X, y, classes, **fit_params
            As for `partial_fit`, which each phase calls.

        Returns
        -------
        self : PhasedNet
        """
        past = self.history
        for exit in reversed(range(self.n_exits)):
            self._initialize_callbacks()
            self.initialize_optimizer()
            self.history_ = History()
            with self._only(exit):
                if any(weight.requires_grad for weight in self.module_.parameters()):
                    with raise_interrupts():  # else skorch goes to the next phase
                        super().partial_fit(X, y, classes, **fit_params)
            past.extend(self.history)
        self.history_ = past
        return self

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> Self:
        """Run skorch's loop over as many epochs as the phase has."""
        if epochs is None and self.phase_ not in (None, self.n_exits - 1):
            epochs = self.head_epochs
        return super().fit_loop(X, y, epochs, **fit_params)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Record which exit is in training, if it is one alone."""
        super().on_epoch_begin(net, **kwargs)
        if self.phase_ is not None:
            self.history.record("exit", self.phase_)

    def _set_training(self, training=True):
        """Put what is in training into training mode, and the rest into evaluation mode."""
        super()._set_training(training)
        if training and self.phase_ is not None:
            for part in self._frozen(self.phase_):
                part.eval()
            self.module_.exits[self.phase_].train()

    def _frozen(self, exit):
        """Modules that are frozen while `exit` is trained, except for the exit itself."""
        return [self.module_] if exit < self.n_exits - 1 else self.module_.exits[:-1]

    @contextmanager
    def _only(self, exit):
        """Train `exit` alone inside the block; the last one with the trunk."""
        flags = [(weight, weight.requires_grad) for weight in self.module_.parameters()]
        own = {id(weight) for weight in self.module_.exits[exit].parameters()}
        for part in self._frozen(exit):
            for weight in part.parameters():
                weight.requires_grad_(weight.requires_grad and id(weight) in own)
        self.phase_ = exit
        try:
            yield
        finally:
            self.phase_ = None
            for weight, flag in flags:
                weight.requires_grad_(flag)
