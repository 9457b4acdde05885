"""Installed packages that do part of the task, each behind the interface of `Peer`.

None is a dependency of this project: see `requirements-peers.txt`. Their members are stand-ins
that return recorded predictions.
"""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from ._peer import LEVEL, NO_GUARANTEE, NO_PRUNING, Answers, Chain, Measured, Peer, best_stage


class Recorded(ClassifierMixin, BaseEstimator):
    """A member that returns recorded probabilities; its X are row numbers (n, 1)."""

    def __init__(self, proba):
        self.proba = proba
        self.classes_ = np.arange(proba.shape[1])

    def fit(self, X, y):
        """Nothing to fit."""
        return self

    def predict_proba(self, X):
        """Recorded rows."""
        return self.proba[X[:, 0]]

    def __sklearn_clone__(self):
        return self


class Thresholds(Chain):
    """A package that finds a threshold on the confidence for each exit."""

    cannot = NO_PRUNING, NO_GUARANTEE

    def thresholds(self, prepared, target):
        """One for each exit; inf: no sample exits there."""
        raise NotImplementedError

    prepare = Peer.prepare

    def choose(self, prepared, target):
        """Predictions with its thresholds."""
        thresholds = self.thresholds(prepared, target)
        return lambda trace: self.answers(trace, thresholds)


def scikit_fallback_search(trace, y, stage_cost):
    """The search of `ThresholdCascadeClassifierCV` over its default grid, fitted.

    Its cost of a sample is that of the stage of its exit. So it gets running totals of the
    costs, and minimizes the cumulative cost, as here. It must have seen each class that a member
    may predict, in each fold: `in_each_fold` selects rows that it can use.
    """
    from skfb.ensemble import ThresholdCascadeClassifierCV

    classes = np.unique(y)
    members = [Recorded(trace.proba[:, k, classes]) for k in range(trace.n_stages)]
    search = ThresholdCascadeClassifierCV(members, costs=np.cumsum(stage_cost))
    return search.fit(np.arange(len(y))[:, np.newaxis], y)


def in_each_fold(trace, y):
    """The rows of classes with two or more rows."""
    rows = np.flatnonzero(np.bincount(y)[y] > 1)
    return trace.rows(rows), y[rows]


class ScikitFallback(Thresholds):
    """`ThresholdCascadeClassifierCV`: a grid of ten thresholds per stage, cross-validated.

    Of its grid, the cheapest combination with a score within the target.
    """

    module, requirement = "skfb", "scikit-fallback==0.2"
    cannot = (
        NO_PRUNING,
        NO_GUARANTEE,
        "take a drop (its parameter is a score, or a budget)",
        "search more than a grid, which grows as ten to the power of the exits",
        "be fitted where a class has a single row",
    )

    def prepare(self, draw):
        """The search serves all targets."""
        trace, y = in_each_fold(draw.trace, draw.y)
        search = scikit_fallback_search(trace, y, draw.cost.edge_costs_[0])
        drop = 1 - trace.losses(y).mean(axis=0).min() - search.mean_cv_scores_
        return Measured(search.all_cv_thresholds_, drop, search.mean_cv_costs_)

    def thresholds(self, prepared, target):
        """As `min_score` with `strategy="max_cost"` would choose."""
        found = prepared.cheapest(target)
        return np.inf if found is None else found


class Mapie(Thresholds):
    """`BinaryClassificationController`: certified values of one global threshold.

    Its risks are shares of samples on which an event occurs. So it bounds the share on which
    the best single stage is right and the cascade wrong, at level 0.9, with the default procedure
    (Bonferroni-Holm). The lowest of the certified thresholds is used.
    """

    module, requirement = "mapie", "MAPIE==1.6.0"
    cannot = (
        NO_PRUNING,
        "count samples on which the cascade is right and the best stage wrong",
        "weigh costs: it certifies settings, and the user chooses among them",
    )

    def thresholds(self, prepared, target):
        """The lowest certified threshold."""
        from mapie.risk_control import BinaryClassificationController, BinaryRisk

        draw, score = prepared, self.score(prepared.trace)
        regret = BinaryRisk(lambda y, loss: loss == 1, lambda y, loss: loss >= 0, False)
        grid = np.unique(np.quantile(score, np.arange(101) / 100))[:, np.newaxis]
        controller = BinaryClassificationController(
            self.regrets(draw),
            regret,
            float(target),
            confidence_level=LEVEL,
            best_predict_param_choice=regret,
            list_predict_params=grid,
        )
        with warnings.catch_warnings():  # one says that nothing is certified
            warnings.simplefilter("ignore")
            controller.calibrate(np.arange(len(draw.y)), np.zeros(len(draw.y), dtype=int))
        valid = np.asarray(controller.valid_predict_params, dtype=float)
        return valid.min() if valid.size else np.inf

    def regrets(self, draw):
        """Samples on which the best stage is right and the cascade wrong, for a threshold."""
        score, pred = self.score(draw.trace), draw.trace.proba.argmax(axis=2)
        right = pred[:, best_stage(draw)] == draw.y

        def regret(rows, threshold):
            wrong = self.answers(draw.trace, threshold, score, pred).label != draw.y
            return (right & wrong)[rows].astype(int)

        return regret


class Earlyon(Thresholds):
    """`calibrate_thresholds`: exit by exit, the lowest of nine thresholds within the target."""

    module, requirement = "earlyon", "earlyon==0.3.0"
    cannot = (
        NO_PRUNING,
        NO_GUARANTEE,
        "combine separate models (its exits are those of one torch net)",
        "use costs (its thresholds are chosen exit by exit)",
    )

    def thresholds(self, prepared, target):
        """Its thresholds; inf for an exit that it disables."""
        import torch
        from earlyon.core.thresholds import calibrate_thresholds

        X, y = torch.arange(len(prepared.y)), torch.from_numpy(prepared.y)
        result = calibrate_thresholds(self.stand_in(prepared), [(X, y)], target)
        return np.where(result.enabled_exits, result.thresholds, np.inf)

    def stand_in(self, draw):
        """A net that maps row numbers to recorded predictions, one head for each exit."""
        import torch
        from earlyon.core.types import EarlyExitConfig, ExitPoint

        class Net(torch.nn.Module):
            def forward(self, X, mode):
                return [logits[X] for logits in self.logits]

        net, route_cost = Net(), np.cumsum(draw.cost.edge_costs_[0])
        names = [f"exit{k}" for k in range(len(route_cost) - 1)]
        net.config = EarlyExitConfig(
            "recorded", draw.trace.n_classes, [ExitPoint(name, name, 1) for name in names]
        )
        net.logits = torch.from_numpy(draw.trace.proba).clamp_min(1e-30).log().unbind(1)
        net._flops_at = dict(zip(names, route_cost / route_cost[-1]))
        return net


class Bargain(Peer):
    """`BARGAIN_A`: the cheapest stage as proxy, the best as oracle, agreement guaranteed.

    Zeighami, Shankar and Parameswaran, Cut costs, not accuracy: LLM-powered data processing with
    guarantees, SIGMOD 2026 (arXiv 2509.02896). It samples the rows to predict, all evaluation rows
    here, and incurs the cost of the oracle on its sample. The rows tuned on only tell which stage
    is best. It bounds the share on which cascade and oracle differ by the target, and so the drop.
    """

    module, requirement = "BARGAIN", "bargain==0.1.3"
    cannot = (
        "use more than two stages, or choose them",
        "use labels: it bounds how often two stages differ, not the accuracy",
        "predict a stream: it needs all rows at once",
    )

    def choose(self, prepared, target):
        """A function that tunes on the very rows it predicts."""
        proxy, oracle = int(prepared.cost.edge_costs_[0].argmin()), best_stage(prepared)

        def answers(trace):
            label, asked = bargain(trace, proxy, oracle, 1 - target, prepared.seed)
            visited = np.arange(trace.n_stages) == np.full((len(label), 1), oracle)
            visited &= asked[:, np.newaxis]
            visited[:, proxy] = True
            return Answers(label, visited)

        return answers


def bargain(trace, proxy, oracle, agreement, seed):
    """Labels of all rows, and whether the oracle was run on each."""
    import BARGAIN

    pred, confidence = trace.proba.argmax(axis=2), trace.proba[:, proxy].max(axis=1)
    if proxy == oracle or agreement >= 1:  # full agreement is never tried: all rows are deferred
        return pred[:, oracle], np.full(len(pred), proxy != oracle)

    class RecordedProxy(BARGAIN.Proxy):
        def proxy_func(self, row):
            return pred[row, proxy], confidence[row]

    class RecordedOracle(BARGAIN.Oracle):
        def oracle_func(self, row, label):
            return pred[row, oracle] == label, pred[row, oracle]

    quiet = {"verbose": False, "max_workers": 1}
    models = RecordedProxy(**quiet), RecordedOracle(**quiet)
    method = BARGAIN.BARGAIN_A(*models, agreement, delta=1 - LEVEL, verbose=False, seed=seed)
    label, asked = method.process(np.arange(len(pred)), return_oracle_usage=True)
    return np.array(label), np.array(asked)


class DesLib(Peer):
    """Dynamic ensemble selection: stages that are right near a sample predict it.

    Tables hold no inputs, so "near" is measured between the predictions of all stages. It does not
    know a class without a row to tune on, so its members predict the best of the other classes.
    """

    module, requirement = "deslib", "DESlib==0.3.7"
    cannot = "save anything: all members run on all samples", "take a target", NO_GUARANTEE

    def __init__(self, method):
        self.method = method

    def prepare(self, draw):
        """Fitted once: it has no operating point."""
        from deslib.des import KNORAE, METADES

        classes = np.unique(draw.y)
        pool = [Columns(classes, k) for k in range(draw.trace.n_stages)]
        make = {"KNORA-E": KNORAE, "META-DES": METADES}[self.method]
        fitted = make(pool, random_state=draw.seed, n_jobs=1)
        with warnings.catch_warnings():  # it calls functions that scikit-learn 1.6 deprecates
            warnings.simplefilter("ignore", FutureWarning)
            return fitted.fit(features(draw.trace, classes), draw.y), classes

    def choose(self, prepared, target):
        """The same for all targets."""
        fitted, classes = prepared

        def answers(trace):
            label = fitted.predict(features(trace, classes))
            return Answers(label, np.full((len(label), trace.n_stages), True))

        return answers


def features(trace, classes):
    """Probabilities of the classes at all stages, of shape (n_samples, n_stages * n_known)."""
    proba = trace.proba[:, :, classes].astype(float) + 1e-12
    return (proba / proba.sum(axis=2, keepdims=True)).reshape(trace.n_samples, -1)


class Columns(ClassifierMixin, BaseEstimator):
    """A fitted member: its probabilities are columns of X."""

    def __init__(self, classes, k):
        self.classes, self.k = classes, k
        self.classes_ = classes

    def fit(self, X, y):
        """Nothing to fit."""
        return self

    def predict_proba(self, X):
        """Its columns."""
        n = len(self.classes)
        return X[:, self.k * n : (self.k + 1) * n]

    def predict(self, X):
        """The most likely class."""
        return self.classes[self.predict_proba(X).argmax(axis=1)]


PACKAGES = {
    "scikit-fallback": ScikitFallback(),
    "MAPIE": Mapie(),
    "earlyon": Earlyon(),
    "BARGAIN": Bargain(),
    "DESlib KNORA-E": DesLib("KNORA-E"),
    "DESlib META-DES": DesLib("META-DES"),
}
