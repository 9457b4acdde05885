"""Members and stop heads trained together (Guan et al.)."""

from __future__ import annotations

from copy import copy
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.utils import check_random_state

from ..evidence._row_costs import relative_edges
from ..utils._sklearn import Interval, StrOptions
from ._alpha_path import AlphaPathPolicy, fitted_rules
from ._bounds import bound_gap, chain_cost
from ._threshold import fit_thresholds

__all__ = ["Reinforce"]

#: Cost weight where none is given, and the factor up to which heads are fitted for others.
ALPHA, SPREAD = 0.05, 10.0


class Reinforce(AlphaPathPolicy):
    """Heads that learn when to stop, and members that learn from the samples that exit there.

    After each stage but the last, a head reads the label probabilities and gives the
    probability to stop there. Heads and torch members are trained together on the expected
    loss + alpha * relative cost: small members specialize in easy samples, large ones in
    the rest. Members that cannot be trained (scikit-learn classifiers, `FrozenEstimator`)
    take part as they are. Members come pretrained, by their own `fit`.

    Parameters
    ----------
    gradient : {"reinforce", "exact"}, default="reinforce"
        With few stages the expectation over exits can be differentiated exactly.

        - "reinforce": the score-function estimate of [1]_, from `n_draws` exits drawn for
          each sample, minus a `baseline`.
        - "exact": the sum over all exits; no variance, no baseline.
    member_loss : {"cross_entropy", "zero_one"}, default="cross_entropy"
        Loss of the members; two readings of the loss L in [1]_.

        - "cross_entropy": their own cross-entropy, weighted by the probability that the
          sample stops there. Heads are trained on the 0/1 loss of the likeliest class.
        - "zero_one": exactly as in the paper. An answer is drawn from the label
          probabilities at the exit, and its 0/1 loss trains heads and members alike.
    baseline : {"leave_one_out", "greedy", "mean", "none"}, default="leave_one_out"
        Subtracted from the objective of a drawn exit, to lower the variance: the mean
        of the other draws of the same sample, the objective of the sample if nothing is
        drawn, the mean of the other samples of the batch, or zero. None of them adds a bias.
        The paper's own is not known.
    n_draws : int, default=4
        Exits drawn for each sample; all members run on it in any case.
    hidden : tuple of int, default=()
        Units of the hidden layers of each head; () is a linear head.
    fine_tune_members : bool, default=True
        False: heads only, on the recorded answers.
    supervised : float in [0, 1], default=0.5
        Share of plain cross-entropy. At 0 a member learns only from the samples that exit
        there, mostly those that it classifies correctly already; at 1 from all equally.
    through_states : bool, default=True
        Whether the gradient of the heads continues into the members, through the
        probabilities the heads read: members learn to be confident where that is justified.
        False and `supervised=1.0` is plain training of each member on its own.
    entropy : float, default=0.01
        Bonus for undecided heads, which keeps all exits in use; it decreases linearly to 0.
    max_epochs : int, default=5
        Passes over the training rows.
    lr : float, default=3e-4
        Largest learning rate (AdamW, cosine schedule) of the members.
    head_lr : float, default=1e-2
        The same for the heads.
    batch_size : int or "auto", default="auto"
        Rows per step. "auto" is a fortieth of the training rows, but 16 to 128.
    patience : int or None, default=3
        Epochs without a better objective on the validation rows before training stops;
        the best weights are kept. None: run all epochs and keep the last weights.
    validation_fraction : float in (0, 1), default=0.1
        Share of the fitting rows that no member is fitted on: for stopping, for alpha, and
        to decide whether joint training helped.
    device : str, default="cpu"
        Where to train, as torch spells it. Members return to their own device.
    callbacks : list or None, default=None
        Further skorch callbacks or (name, callback) pairs for the joint training.
    random_state : int, RandomState instance or None, default=None
        Seeds heads, draws and order of rows.
    verbose : int, default=0
        1 prints skorch's table of epochs.

    Attributes
    ----------
    heads_ : torch.nn.ModuleList
        One head per stage but the last, from features of the label probabilities to the
        logit of the stop probability; fitted on held-out answers.
    thresholds_ : ndarray of shape (n_stages,)
        A sample exits at stage k if that logit is `thresholds_[k]` or more; fitted on
        held-out answers, like any threshold.
    stages_ : list of int
        The stages in use, in order.
    rules_ : list of Head
        The decision at each stage but the last, as plain numbers.
    alpha_ : float
        Cost weight that members were trained at. Only after joint training.
    history_ : skorch.history.History
        One record per epoch of the joint training: `train_loss`, `valid_loss` (the
        objective), `valid_accuracy`, `valid_cost` (relative) and `alpha`.

    Notes
    -----
    Training follows the operating point of the cascade. If `alpha` is given, it is the cost
    weight; else alpha is the multiplier of the bound (`max_cost` is the constrained problem
    of the paper, `max_accuracy_drop` its mirror image), found by dual ascent on the
    validation rows while heads and members are trained. It stays in [0.005, 1].

    Heads are first trained with the members, then fitted anew on held-out answers: members are
    overconfident on the rows they were trained on, and heads that learned there follow them.

    If joint training does not lower the objective on the validation rows, with heads fitted
    anew for the members before and after, the members stay as they were.

    Heads are trained on the mean costs of the stages. Where a trace has costs of the rows
    (`Trace.cost`), thresholds and stages are chosen by them.

    Architecture of the heads, baseline, optimizer and learning rates are ours: the paper
    does not give them. Costs are cumulative: a sample that stops at stage k has incurred the
    costs of all stages before.

    References
    ----------
    .. [1] J. Guan, Y. Liu, Q. Liu and J. Peng. Energy-efficient amortized inference with
       cascaded deep classifiers. IJCAI 2018, :arxiv:`1710.03368`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skcascade import CascadeClassifier
    >>> from skcascade.policies import Reinforce
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> cascade = CascadeClassifier(policy=Reinforce(), alpha=0.05, random_state=0)
    >>> bool(cascade.fit(X_train, y_train).score(X_test, y_test) > 0.93)
    True
    >>> len(cascade.policy_.heads_)
    2
    """

    _parameter_constraints = {
        "gradient": [StrOptions({"reinforce", "exact"})],
        "member_loss": [StrOptions({"cross_entropy", "zero_one"})],
        "baseline": [StrOptions({"greedy", "leave_one_out", "mean", "none"})],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "hidden": [tuple],
        "fine_tune_members": ["boolean"],
        "supervised": [Interval(Real, 0, 1, closed="both")],
        "through_states": ["boolean"],
        "entropy": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "head_lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "device": [str],
        "callbacks": [list, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        gradient: str = "reinforce",
        *,
        member_loss: str = "cross_entropy",
        baseline: str = "leave_one_out",
        n_draws: int = 4,
        hidden: tuple[int, ...] = (),
        fine_tune_members: bool = True,
        supervised: float = 0.5,
        through_states: bool = True,
        entropy: float = 0.01,
        max_epochs: int = 5,
        lr: float = 3e-4,
        head_lr: float = 1e-2,
        batch_size: int | str = "auto",
        patience: int | None = 3,
        validation_fraction: float = 0.1,
        device: str = "cpu",
        callbacks: list[Any] | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.gradient = gradient
        self.member_loss = member_loss
        self.baseline = baseline
        self.n_draws = n_draws
        self.hidden = hidden
        self.fine_tune_members = fine_tune_members
        self.supervised = supervised
        self.through_states = through_states
        self.entropy = entropy
        self.max_epochs = max_epochs
        self.lr = lr
        self.head_lr = head_lr
        self.batch_size = batch_size
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.device = device
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    def check_params(self, n_stages: int | None = None) -> None:
        """ValueError if a parameter cannot be used."""
        super().check_params(n_stages)
        if self.gradient == "reinforce" and self.baseline == "leave_one_out" and self.n_draws < 2:
            raise ValueError(
                "`baseline`='leave_one_out' is the mean of the other draws and needs `n_draws` of"
                f" 2 or more, got {self.n_draws}. Raise it, or choose another baseline."
            )

    def fine_tune(
        self, stages: Any, X: Any, y: ArrayLike, X_val: Any, y_val: Any, cost: Any, target: Any
    ) -> Any:
        """Train heads and members together.

        Parameters
        ----------
        stages, X, y, X_val, y_val, cost, target
            As for :meth:`BaseExitPolicy.fine_tune`.

        Returns
        -------
        stages : Stages
            With copies of the members that were trained. The very object that came in if
            there is nothing to train, or training did not help.

        Warns
        -----
        CascadeWarning
            If all samples exit at one stage under the heads, although two are worth using.
        """
        if not (self.fine_tune_members and any(m.trainable() for _, m in stages.members)):
            return stages
        from ._reinforce_joint import fine_tune

        route_cost = chain_cost(cost, stages.n_stages)
        alpha = ALPHA if target.alpha is None else target.alpha
        tuned = fine_tune(
            self, self._seed(), stages, (X, y), (X_val, y_val), route_cost, alpha, bound_gap(target)
        )
        self.alpha_, self.history_ = tuned.alpha, tuned.history
        return tuned.stages

    def _path(self, trace, y, cost, alphas, weight):
        from ._reinforce_net import fit_heads

        losses = trace.objective_losses(y)
        route_cost = chain_cost(cost, trace.n_stages)
        heads = fit_heads(
            trace.proba, losses, weight, route_cost, ALPHA, self, self._seed(), spread=SPREAD
        )
        score = heads.scores(trace.proba)
        edges = relative_edges(trace, cost)
        thresholds, stages = fit_thresholds(score, losses, edges, alphas, weight)
        return [self._at(heads, row, in_use) for row, in_use in zip(thresholds, stages)]

    def exit_mask(self, stage: int, proba: NDArray[Any]) -> NDArray[np.bool_]:
        """Rows whose stop logit reaches the threshold, as :meth:`BaseExitPolicy.exit_mask`."""
        return fitted_rules(self)[stage].exits(proba[:, stage])

    def rule(self, stage: int) -> Any:
        """The decision at `stage`: a head and its threshold, as plain numbers.

        Parameters
        ----------
        stage : int

        Returns
        -------
        rule : Head or None
            None for the last stage, which has no head.
        """
        rules = fitted_rules(self)
        return rules[stage] if stage < len(rules) else None

    def exit_score(self, stage: int, proba: NDArray[Any]) -> NDArray[Any]:
        """Probability to stop, (n_rows,); 1 at the last stage, which has no head."""
        if stage == len(self.heads_):
            return np.ones(len(proba))
        return expit(self.rules_[stage].score(proba[:, stage]).astype(float))

    def exit_threshold(self, stage: int) -> float:
        """The probability to stop from which rows exit.

        Parameters
        ----------
        stage : int

        Returns
        -------
        threshold : float
        """
        return expit(self.thresholds_[stage])

    def _at(self, heads, thresholds, stages):
        policy = copy(self)
        policy.heads_ = heads
        policy.thresholds_ = np.asarray(thresholds, dtype=float)
        policy.stages_ = [int(k) for k in stages]
        policy.rules_ = [heads.rule(k, policy.thresholds_[k]) for k in range(len(heads))]
        return policy

    def _seed(self):
        return check_random_state(self.random_state).randint(2**31 - 1)
