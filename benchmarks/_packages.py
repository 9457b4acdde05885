"""Installed packages that do some of the work, each behind the interface of `Peer`.

None is a dependency of this project: see `requirements-peers.txt`. A member of theirs is a
stand-in that returns recorded answers.
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
        """One for each exit; inf: nobody leaves there."""
        raise NotImplementedError

    prepare = Peer.prepare

    def choose(self, prepared, target):
        """The answers with its thresholds."""
        cuts = self.thresholds(prepared, target)
        return lambda trace: self.answers(trace, cuts)


def scikit_fallback_search(trace, y, price):
    """The search of `ThresholdCascadeClassifierCV` over its default grid, fitted.

    Its cost of a sample is that of the stage where it leaves, so it is given running totals of
    the prices: what it minimises then is the cumulative cost, as here. It must have seen each class
    that a member may name, in each fold: `in_each_fold` tells what can be given to it.
    """
    from skfb.ensemble import ThresholdCascadeClassifierCV

    classes = np.unique(y)
    members = [Recorded(trace.proba[:, k, classes]) for k in range(trace.n_stages)]
    search = ThresholdCascadeClassifierCV(members, costs=np.cumsum(price))
    return search.fit(np.arange(len(y))[:, np.newaxis], y)


def in_each_fold(trace, y):
    """The rows whose class another row has, too."""
    rows = np.flatnonzero(np.bincount(y)[y] > 1)
    return trace.rows(rows), y[rows]


class ScikitFallback(Thresholds):
    """`ThresholdCascadeClassifierCV`: a grid of ten thresholds a stage, cross-validated.

    Of its grid, the cheapest combination with a score that keeps the target.
    """

    module, requirement = "skfb", "scikit-fallback==0.2"
    cannot = (
        NO_PRUNING,
        NO_GUARANTEE,
        "take a drop (its dial is a score, or a budget)",
        "search more than a grid, which grows as ten to the power of the exits",
        "be fitted where a class has a single row",
    )

    def prepare(self, draw):
        """The search serves all targets."""
        trace, y = in_each_fold(draw.trace, draw.y)
        search = scikit_fallback_search(trace, y, draw.prices.edge_costs_[0])
        drop = 1 - trace.losses(y).mean(axis=0).min() - search.mean_cv_scores_
        return Measured(search.all_cv_thresholds_, drop, search.mean_cv_costs_)

    def thresholds(self, prepared, target):
        """As `min_score` with `strategy="max_cost"` would choose."""
        cuts = prepared.cheapest(target)
        return np.inf if cuts is None else cuts


class Mapie(Thresholds):
    """`BinaryClassificationController`: certified values of one global threshold.

    Its risks are shares of samples on which an event occurs. So what it bounds is the share on
    which the best single stage is right and the cascade wrong, at level 0.9, with the default
    procedure (Bonferroni-Holm); of the thresholds it certifies the boldest is taken.
    """

    module, requirement = "mapie", "MAPIE==1.6.0"
    cannot = (
        NO_PRUNING,
        "count what the cascade gets right and the best stage wrong",
        "weigh costs: it certifies settings, which to take is left to the user",
    )

    def thresholds(self, prepared, target):
        """The lowest of those certified."""
        from mapie.risk_control import BinaryClassificationController, BinaryRisk

        draw, score = prepared, self.score(prepared.trace)
        regret = BinaryRisk(lambda y, lost: lost == 1, lambda y, lost: lost >= 0, False)
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
        """Where the best stage is right and the cascade wrong, as a function of the threshold."""
        score, pred = self.score(draw.trace), draw.trace.proba.argmax(axis=2)
        right = pred[:, best_stage(draw)] == draw.y

        def lost(rows, cut):
            wrong = self.answers(draw.trace, cut, score, pred).label != draw.y
            return (right & wrong)[rows].astype(int)

        return lost


class Earlyon(Thresholds):
    """`calibrate_thresholds`: exit by exit the boldest of nine thresholds within the target."""

    module, requirement = "earlyon", "earlyon==0.3.0"
    cannot = (
        NO_PRUNING,
        NO_GUARANTEE,
        "combine separate models (its exits are those of one torch net)",
        "know prices (its thresholds are chosen exit by exit)",
    )

    def thresholds(self, prepared, target):
        """Its thresholds; inf where it switches an exit off."""
        import torch
        from earlyon.core.thresholds import calibrate_thresholds

        X, y = torch.arange(len(prepared.y)), torch.from_numpy(prepared.y)
        result = calibrate_thresholds(self.stand_in(prepared), [(X, y)], target)
        return np.where(result.enabled_exits, result.thresholds, np.inf)

    def stand_in(self, draw):
        """A net whose input are row numbers and whose heads return recorded answers."""
        import torch
        from earlyon.core.types import EarlyExitConfig, ExitPoint

        class Net(torch.nn.Module):
            def forward(self, X, mode):
                return [logits[X] for logits in self.logits]

        net, paid = Net(), np.cumsum(draw.prices.edge_costs_[0])
        names = [f"exit{k}" for k in range(len(paid) - 1)]
        net.config = EarlyExitConfig(
            "recorded", draw.trace.n_classes, [ExitPoint(name, name, 1) for name in names]
        )
        net.logits = torch.from_numpy(draw.trace.proba).clamp_min(1e-30).log().unbind(1)
        net._flops_at = dict(zip(names, paid / paid[-1]))
        return net


class Bargain(Peer):
    """`BARGAIN_A`: the cheapest stage as proxy, the best as oracle, agreement guaranteed.

    Zeighami, Shankar and Parameswaran, Cut costs, not accuracy: LLM-powered data processing with
    guarantees, SIGMOD 2026 (arXiv 2509.02896). It samples the rows that are to be answered, all of
    those judged here, and pays the oracle for its sample; rows tuned on only tell which stage is
    best. The share on which cascade and oracle differ is kept at the target, so the drop is too.
    """

    module, requirement = "BARGAIN", "bargain==0.1.3"
    cannot = (
        "use more than two stages, or choose them",
        "use labels: it bounds how often two stages differ, not what that loses",
        "answer a stream: it needs all rows at once",
    )

    def choose(self, prepared, target):
        """The rows to be answered are what it works on."""
        proxy, oracle = int(prepared.prices.edge_costs_[0].argmin()), best_stage(prepared)

        def answers(trace):
            label, asked = bargain(trace, proxy, oracle, 1 - target, prepared.seed)
            visited = np.arange(trace.n_stages) == np.full((len(label), 1), oracle)
            visited &= asked[:, np.newaxis]
            visited[:, proxy] = True
            return Answers(label, visited)

        return answers


def bargain(trace, proxy, oracle, agreement, seed):
    """Labels of all rows and which of them the oracle was asked for."""
    import BARGAIN

    pred, confidence = trace.proba.argmax(axis=2), trace.proba[:, proxy].max(axis=1)
    if proxy == oracle or agreement >= 1:  # full agreement is never tried: all rows go on
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
    """Dynamic ensemble selection: stages that are right near a sample answer it.

    Tables hold no inputs, so "near" is measured between the answers of all stages. A class that
    no row tuned on has is unknown to it, so its members answer the best class of the others.
    """

    module, requirement = "deslib", "DESlib==0.3.7"
    cannot = "save anything: all members answer all samples", "take a target", NO_GUARANTEE

    def __init__(self, method):
        self.method = method

    def prepare(self, draw):
        """Fitted once: there is no knob."""
        from deslib.des import KNORAE, METADES

        classes = np.unique(draw.y)
        pool = [Columns(classes, k) for k in range(draw.trace.n_stages)]
        make = {"KNORA-E": KNORAE, "META-DES": METADES}[self.method]
        fitted = make(pool, random_state=draw.seed, n_jobs=1)
        with warnings.catch_warnings():  # it calls what scikit-learn 1.6 deprecates
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
    """What all stages say of the classes, of shape (n_samples, n_stages * n_known)."""
    proba = trace.proba[:, :, classes].astype(float) + 1e-12
    return (proba / proba.sum(axis=2, keepdims=True)).reshape(trace.n_samples, -1)


class Columns(ClassifierMixin, BaseEstimator):
    """A fitted member whose answers are columns of X."""

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
