"""Members and stop heads trained together (Guan et al.)."""

from copy import copy
from numbers import Integral, Real

import numpy as np
from scipy.special import expit
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from ._base import PathPolicy
from ._threshold import fit_thresholds

__all__ = ["Reinforce"]

#: Price where none is given, and by how much the prices that heads are fitted for differ from it.
ALPHA, SPREAD = 0.05, 10.0
#: Accuracy by which a bound must be missed for dual ascent to take a full step.
ACCURACY_STEP = 0.01


class Reinforce(PathPolicy):
    """Heads that learn when to stop, and members that learn for whom they are asked.

    After each stage but the last, a head reads the label probabilities and gives the
    probability to stop there. Heads and torch members are trained together on the expected
    loss + alpha * relative cost: small members specialise on easy samples, large ones on
    those that are left. What cannot be trained (scikit-learn classifiers, `FrozenEstimator`)
    takes part as it is. Members come pretrained, by their own `fit`.

    Parameters
    ----------
    gradient : {"reinforce", "exact"}, default="reinforce"
        With few stages the expectation over exits can be differentiated as it stands.

        - "reinforce": the score-function estimate of [1]_, from `n_draws` exits drawn for
          each sample, less a `baseline`.
        - "exact": the sum over all exits; no variance, no baseline.
    member_loss : {"cross_entropy", "zero_one"}, default="cross_entropy"
        What members are trained by; two readings of the loss L in [1]_.

        - "cross_entropy": their own cross-entropy, weighted by the probability that the
          sample stops there. Heads are trained on the 0/1 loss of the likeliest class.
        - "zero_one": the letter of the paper. An answer is drawn from the label
          probabilities at the exit, and its 0/1 loss trains heads and members alike.
    baseline : {"leave_one_out", "greedy", "mean", "none"}, default="leave_one_out"
        What is subtracted from the cost of a drawn exit, to lower the variance: the mean
        of the other draws of the same sample, what the sample pays if nothing is drawn, the
        mean of the other samples of the batch, nothing. None of them adds a bias. The paper's
        own is not known.
    n_draws : int, default=4
        Exits drawn for each sample; all members run on it anyway.
    hidden : tuple of int, default=()
        Units of the hidden layers of each head; () is a linear head.
    fine_tune_members : bool, default=True
        False: heads only, on the recorded answers.
    supervised : float in [0, 1], default=0.5
        Share of plain cross-entropy. At 0 a member is taught only by the samples that
        leave there, by nature those that it knows already; at 1 by all alike.
    through_states : bool, default=True
        Whether the gradient of the heads goes on into the members, through the
        probabilities they read: members learn to be sure where that is justified. False and
        `supervised=1.0` is plain training of each member on its own.
    entropy : float, default=0.01
        Bonus for undecided heads, which keeps all exits alive; it fades out linearly.
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
        to tell whether joint training was worth it.
    device : str, default="cpu"
        Where to train, as torch spells it. Members go back to their own device.
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
        A sample leaves at stage k if that logit is `thresholds_[k]` or more; placed on
        held-out answers, like any threshold.
    stages_ : list of int
        The stages in use, in order.
    alpha_ : float
        Price that members were trained at. Only after joint training.
    history_ : skorch.history.History
        One record per epoch of the joint training: `train_loss`, `valid_loss` (the
        objective), `valid_accuracy`, `valid_cost` (relative) and `alpha`.

    Notes
    -----
    Training follows the operating point of the cascade: at the price `alpha` where it is
    given; else alpha is the multiplier of the bound (`max_cost` is the constrained problem
    of the paper, `max_accuracy_drop` its mirror image), found by dual ascent on the
    validation rows while heads and members are trained. It stays in [0.005, 1].

    Heads are trained with the members first and fitted anew on held-out answers then: members
    are surer of the rows they were trained on, and heads that learnt there believe them.

    If joint training does not lower the objective on the validation rows, with heads fitted
    anew for the members before and after, the members stay as they were.

    Architecture of the heads, baseline, optimiser and learning rates are ours: the paper
    does not tell them. Costs are cumulative: who stops at stage k has paid for all stages
    before.

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
        gradient="reinforce",
        *,
        member_loss="cross_entropy",
        baseline="leave_one_out",
        n_draws=4,
        hidden=(),
        fine_tune_members=True,
        supervised=0.5,
        through_states=True,
        entropy=0.01,
        max_epochs=5,
        lr=3e-4,
        head_lr=1e-2,
        batch_size="auto",
        patience=3,
        validation_fraction=0.1,
        device="cpu",
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
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

    def check_params(self):
        """ValueError if a parameter cannot be used."""
        super().check_params()
        if self.gradient == "reinforce" and self.baseline == "leave_one_out" and self.n_draws < 2:
            raise ValueError(
                "`baseline`='leave_one_out' is the mean of the other draws and needs `n_draws` of"
                f" 2 or more, got {self.n_draws}. Raise it, or choose another baseline."
            )

    def fine_tune(self, stages, X, y, X_val, y_val, cost, target):
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
            If the heads let all samples leave at one stage though two are worth having.
        """
        if not (self.fine_tune_members and any(m.trainable() for _, m in stages.members)):
            return stages
        from ._reinforce_joint import fine_tune

        price = chain_price(cost, stages.n_stages)
        alpha = ALPHA if target.alpha is None else target.alpha
        tuned = fine_tune(
            self, self._seed(), stages, (X, y), (X_val, y_val), price, alpha, _gap(target)
        )
        self.alpha_, self.history_ = tuned.alpha, tuned.history
        return tuned.stages

    def _path(self, trace, y, cost, alphas, weight, smooth):
        from ._reinforce_net import fit_heads

        losses = trace.losses(y)
        price = chain_price(cost, trace.n_stages)
        heads = fit_heads(
            trace.proba, losses, weight, price, ALPHA, self, self._seed(), spread=SPREAD
        )
        score = heads.scores(trace.proba)
        edges = cost.relative(cost.edge_costs_)
        thresholds, stages = fit_thresholds(score, losses, edges, alphas, weight, smooth=smooth)
        return [self._at(heads, cuts, in_use) for cuts, in_use in zip(thresholds, stages)]

    def exit_mask(self, stage, proba):
        """Rows whose stop logit reaches the threshold of `stage`.

        Parameters
        ----------
        stage, proba
            As for :meth:`BaseExitPolicy.exit_mask`.

        Returns
        -------
        leaves : ndarray of bool, shape (n_rows,)
        """
        return self.heads_.score(stage, proba[:, stage]) >= self.thresholds_[stage]

    def exit_score(self, stage, proba):
        """Probability to stop; 1 at the last stage, which has no head.

        Parameters
        ----------
        stage, proba
            As for :meth:`BaseExitPolicy.exit_score`.

        Returns
        -------
        score : ndarray of shape (n_rows,)
        """
        if stage == len(self.heads_):
            return np.ones(len(proba))
        return expit(self.heads_.score(stage, proba[:, stage]).astype(float))

    def exit_threshold(self, stage):
        """The probability to stop from which rows leave.

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
        return policy

    def _seed(self):
        return check_random_state(self.random_state).randint(2**31 - 1)


def chain_price(cost, n_stages):
    """Relative cost (n_stages,) of running all stages up to each of them."""
    return cost.relative(cost.path_cost(np.tri(n_stages, dtype=bool)))


def _gap(target):
    """How far the policy is from the bound of `target`: above 0 where alpha is too low.

    A drop counts with its standard error: few validation rows must not look like none.
    """
    if target.max_cost is not None:
        return lambda cost, drop, error: cost / target.max_cost - 1
    if target.max_accuracy_drop is not None:
        return lambda cost, drop, error: (target.max_accuracy_drop - drop - error) / ACCURACY_STEP
    return lambda cost, drop, error: 0.0
