"""The cascade from end to end: what it is made of, what it is fed, what it promises."""

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array, csr_array
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, StratifiedKFold
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import indexable

pytest.importorskip("torch")

import torch
from skorch import NeuralNetClassifier
from torch import nn

from skcascade import CascadeClassifier, Trace, fit_policy, make_cascade, walk
from skcascade._stages import Stages
from skcascade.costs import FixedCost, LatencyCost, MacsCost
from skcascade.exceptions import CascadeWarning
from skcascade.members import TorchClassifier
from skcascade.members._adapters import EstimatorMember, is_local_net
from skcascade.nets import CifarResNet
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold, WeightedBinary

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
NAMES = np.array(["ash", "oak", "yew"])[Y]
ROWS = np.arange(len(Y))
SPLIT = [(ROWS[:200], ROWS[200:])]
THREE_FOLDS = [(ROWS[ROWS % 3 != i], ROWS[ROWS % 3 == i]) for i in range(3)]


# --- members made for tests ---------------------------------------------------------


class Perceptron(nn.Module):
    def __init__(self, n_features=8, n_classes=3):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, n_classes)
        )

    def forward(self, X):
        return self.layers(X).softmax(-1)


class Logits(nn.Linear):
    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.numbers, self.tokens = nn.Linear(8, 3), nn.Embedding(4, 3)

    def forward(self, numbers, tokens):
        return (self.numbers(numbers) + self.tokens(tokens)).softmax(-1)


def raw_net(module=Perceptron, **params):
    params = {"max_epochs": 4, "lr": 0.1, "iterator_train__shuffle": True, **params}
    return NeuralNetClassifier(module, verbose=0, **params)


def torch_member(module=None, **params):
    return TorchClassifier(module, max_epochs=3, **params)


def tiny_resnet(width):
    return torch_member(CifarResNet, module_params={"width": width})


class Counted(GaussianNB):
    """Writes a line into the file `log` for every fit, in whatever process it happens."""

    def __init__(self, log="", var_smoothing=1e-9):
        super().__init__(var_smoothing=var_smoothing)
        self.log = log

    def fit(self, X, y, sample_weight=None):
        with Path(self.log).open("a") as file:
            file.write(joblib.hash(X) + "\n")
        return super().fit(X, y, sample_weight)


class CountedNet(NeuralNetClassifier):
    n_fits = 0

    def fit(self, X, y, **params):
        CountedNet.n_fits += 1
        return super().fit(X, y, **params)


class CountedTorch(TorchClassifier):
    n_fits = 0

    def fit(self, X, y):
        CountedTorch.n_fits += 1
        return super().fit(X, y)


class Recorded(ClassifierMixin, BaseEstimator):
    """Answers `X[:, stage]`: X holds what every stage says, (n_samples, n_stages, n_classes)."""

    def __init__(self, stage=0):
        self.stage = stage

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return X[:, self.stage]


class Sure(BaseExitPolicy):
    """The smallest policy there is."""

    def exit_mask(self, stage, proba):
        return proba[:, stage].max(axis=1) >= 0.9


def recorded(n_stages=2, **params):
    members = [(f"stage{k}", Recorded(k)) for k in range(n_stages)]
    prices = [10.0**k for k in range(n_stages)]
    return CascadeClassifier(members, **{"cost": prices, "random_state": 0, **params})


def sure_or_not(right_if_sure=1.0, right_if_not=0.3, second=1.0, n=1000, seed=0):
    """Answers of two stages and the labels; the first is sure of half of its answers."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    sure = rng.uniform(size=n) < 0.5
    right = rng.uniform(size=(n, 2)) < np.stack(
        [np.where(sure, right_if_sure, right_if_not), np.full(n, second)], axis=1
    )
    confidence = np.stack([np.where(sure, 0.95, 0.6), np.full(n, 0.9)], axis=1)
    pred = np.where(right, y[:, np.newaxis], 1 - y[:, np.newaxis])
    return Trace.from_top1(pred, confidence, n_classes=2).proba, y


def n_fits(log):
    return len(log.read_text().splitlines()) if log.exists() else 0


# --- kinds of members ---------------------------------------------------------------


def fitted_net():
    """A raw net that learnt its codes, the same in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return raw_net().fit(X.astype(np.float32), Y)


KINDS = {
    "scikit-learn": lambda: GaussianNB(),
    "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "calibrated": lambda: CalibratedClassifierCV(LinearSVC(random_state=0), cv=2),
    "frozen": lambda: FrozenEstimator(GaussianNB().fit(X, NAMES)),
    "raw net": lambda: raw_net(),
    "raw net at the end of a pipeline": lambda: make_pipeline(
        StandardScaler(), FunctionTransformer(np.float32), raw_net()
    ),
    "frozen raw net": lambda: FrozenEstimator(fitted_net()),
    "module": lambda: nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)),
    "module class": lambda: Logits,
    "TorchClassifier": lambda: torch_member(),
    "cascade": lambda: make_cascade(GaussianNB(), LogisticRegression(), cv=2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_members(kind):
    member = KINDS[kind]()
    cascade = CascadeClassifier(
        [("first", DecisionTreeClassifier(max_depth=2)), ("second", member)],
        cost=[1, 4],
        alpha=0.0,
        random_state=0,
    ).fit(X, NAMES)
    first, second = cascade.staged_predict_proba(X)
    assert first.shape == second.shape == (300, 3)
    assert np.allclose(second.sum(axis=1), 1, atol=1e-5)
    assert (cascade.classes_[second.argmax(axis=1)] == NAMES).mean() > 0.4
    assert list(cascade.members_) == cascade.stage_names_ == ["first", "second"]
    if kind != "cascade":  # it has no count of its own
        MacsCost().fit(cascade._stages, X)
    exits = cascade.predict_exit(X)
    expected = np.where((exits == 0)[:, np.newaxis], first, second)
    assert np.allclose(cascade.predict_proba(X), expected, atol=1e-6)


def test_kinds_mixed_freely():
    kinds = ["scikit-learn", "frozen", "raw net", "frozen raw net", "module", "TorchClassifier"]
    members = [(f"m{i}", KINDS[kind]()) for i, kind in enumerate(kinds)]
    cascade = CascadeClassifier(members, alpha=0.01, random_state=0).fit(X, NAMES)
    assert cascade.trace_.proba.shape == (60, 6, 3)
    assert cascade.score(X, NAMES) > 0.6


def test_raw_net_gets_codes_and_single_precision():
    seen = {}

    class Spy(NeuralNetClassifier):
        def fit(self, X, y, **params):
            seen["X"], seen["y"] = X, y
            return super().fit(X, y, **params)

    net = Spy(Perceptron, max_epochs=1, verbose=0)
    for data in [X, pd.DataFrame(X), torch.from_numpy(X)]:
        cascade = make_cascade(net, cv=SPLIT).fit(data, NAMES)
        assert str(seen["X"].dtype).endswith("float32")
        assert seen["y"].dtype == np.int64
        assert np.array_equal(np.asarray(seen["X"]), X[:200].astype(np.float32))
        assert np.array_equal(seen["y"], Y[:200])
        assert set(cascade.predict(data)) <= set(NAMES)


def test_frozen_raw_net_is_read_as_codes():
    net = raw_net().fit(X.astype(np.float32), Y)
    cascade = make_cascade(FrozenEstimator(net), random_state=0).fit(X, NAMES)
    assert np.array_equal(cascade.predict_proba(X), net.predict_proba(X.astype(np.float32)))
    assert cascade.members_.frozenestimator is net


def test_frozen_member_with_string_labels_in_other_order_of_fitting():
    frozen = GaussianNB().fit(X[::-1], NAMES[::-1])
    cascade = make_cascade(LogisticRegression(), FrozenEstimator(frozen), cost=[1, 2])
    cascade.fit(X, NAMES)
    _, second = cascade.staged_predict_proba(X)
    assert np.allclose(second, frozen.predict_proba(X), atol=1e-6)
    assert cascade.members_.frozenestimator is frozen


def test_class_that_a_frozen_member_lacks_is_zero():
    frozen = GaussianNB().fit(X[Y != 1], NAMES[Y != 1])
    cascade = make_cascade(FrozenEstimator(frozen), LogisticRegression()).fit(X, NAMES)
    first, _ = cascade.staged_predict_proba(X)
    assert np.array_equal(first[:, 1], np.zeros(300))
    assert np.allclose(first[:, [0, 2]], frozen.predict_proba(X), atol=1e-6)


def test_class_missing_from_a_fold_is_zero():
    known, unknown = ROWS[Y < 2], ROWS[Y == 2]
    half = len(known) // 2
    folds = [
        (np.r_[known[:half], unknown], known[half:]),
        (known[half:], np.r_[known[:half], unknown]),  # class 2 is never seen
    ]
    cascade = make_cascade(GaussianNB(), LogisticRegression(), cv=folds).fit(X, NAMES)
    missing = cascade.trace_.proba[len(known) - half :, :, 2]
    assert np.array_equal(missing, np.zeros_like(missing))
    assert cascade.trace_.proba[: len(known) - half, :, 2].max() > 0
    assert set(cascade.predict(X)) == set(NAMES)  # deployed members know all classes


def test_one_member():
    cascade = make_cascade(GaussianNB(), random_state=0).fit(X, NAMES)
    assert cascade.policy_.stages_ == [0]
    assert cascade.summary().splitlines()[1].startswith("gaussiannb")
    assert np.array_equal(cascade.predict_exit(X), np.zeros(300))
    assert np.allclose(
        cascade.predict_proba(X), cascade.members_.gaussiannb.predict_proba(X), atol=1e-6
    )


def test_make_cascade_names_members_by_type():
    cascade = make_cascade(GaussianNB(), nn.Linear(8, 3), Logits, GaussianNB(), alpha=0.5)
    assert [name for name, _ in cascade.members] == [
        "gaussiannb-1",
        "linear",
        "logits",
        "gaussiannb-2",
    ]
    assert cascade.alpha == 0.5


# --- kinds of X and y ---------------------------------------------------------------


def mixed_frame():
    frame = pd.DataFrame(X[:, :4], columns=list("abcd"))
    frame["colour"] = np.array(["red", "green", "blue"])[(Y + (ROWS % 5 == 0)) % 3]
    return frame


def columns(classifier):
    encode = [("number", StandardScaler(), list("abcd")), ("text", OneHotEncoder(), ["colour"])]
    return make_pipeline(ColumnTransformer(encode, sparse_threshold=0), classifier)


def texts():
    words = np.array([["cheap", "fast", "loud"], ["rare", "slow", "calm"], ["plain", "odd", "new"]])
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(words[(y + (rng.uniform() < 0.2)) % 3], 4)) for y in Y]


def polars_frame():
    return pytest.importorskip("polars").DataFrame(X, schema=list("abcdefgh"))


INPUTS = {
    "ndarray": (lambda: X, GaussianNB, LogisticRegression),
    "list of lists": (lambda: X.tolist(), GaussianNB, LogisticRegression),
    "pandas": (lambda: pd.DataFrame(X).add_prefix("x"), GaussianNB, torch_member),
    "pandas, mixed": (
        mixed_frame,
        lambda: columns(GaussianNB()),
        lambda: columns(LogisticRegression()),
    ),
    "polars": (polars_frame, GaussianNB, torch_member),
    "polars, raw net": (polars_frame, GaussianNB, raw_net),
    "csr": (lambda: csr_array(np.abs(X)), MultinomialNB, LogisticRegression),
    "coo": (lambda: coo_array(np.abs(X)), MultinomialNB, LogisticRegression),
    "texts": (
        texts,
        lambda: make_pipeline(TfidfVectorizer(), MultinomialNB()),
        lambda: make_pipeline(TfidfVectorizer(), LogisticRegression()),
    ),
    "array of texts": (
        lambda: np.array(texts(), dtype=object),
        lambda: make_pipeline(TfidfVectorizer(), MultinomialNB()),
        lambda: make_pipeline(TfidfVectorizer(), LogisticRegression()),
    ),
    "tensor": (lambda: torch.from_numpy(X), torch_member, raw_net),
    "dict": (
        lambda: {"numbers": X, "tokens": (Y + (ROWS % 5 == 0)) % 4},
        lambda: raw_net(TwoInputs),
        lambda: raw_net(TwoInputs, max_epochs=10),
    ),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_kinds_of_x(kind):
    make_x, small, large = INPUTS[kind]
    data = make_x()
    members = [("small", small()), ("large", large())]
    cascade = CascadeClassifier(members, cost=[1, 3], alpha=0.05, random_state=0)
    cascade.fit(data, NAMES)
    whole = cascade.predict_proba(data)
    assert whole.shape == (300, 3)
    assert cascade.score(data, NAMES) > 0.4
    # In blocks, and with stages run on the rows that reach them: up to rounding.
    blocks = cascade.set_params(batch_size=77)
    assert np.allclose(blocks.predict_proba(data), whole, atol=1e-5)
    MacsCost().fit(cascade._stages, indexable(data)[0])
    with_folds = clone(cascade).set_params(cv=2).fit(data, NAMES)
    assert with_folds.trace_.n_samples == 300


def images(n):
    y = np.arange(n) % 2
    X = np.random.default_rng(0).standard_normal((n, 1, 8, 8)).astype(np.float32)
    X[y == 1] += 1.0
    return X, y


def test_images():
    X, y = images(120)
    members = [("small", tiny_resnet(2)), ("large", tiny_resnet(8))]
    cascade = CascadeClassifier(members, alpha=0.01, random_state=0).fit(X, y)
    assert cascade.n_features_in_ == 1
    assert cascade.cost_.unit == "MACs"
    assert cascade.score(X, y) > 0.8
    with pytest.raises(ValueError, match="shape"):
        cascade.predict(X[:, :, :4])


@pytest.mark.parametrize(
    ("data", "widths"),
    [((X, Y), None), (images(40), None)],
    ids=["table", "images"],
)
def test_default_members(data, widths):
    cascade = CascadeClassifier(random_state=0).fit(*data)
    assert cascade.stage_names_ == ["small", "medium", "large"]
    assert cascade.cost_.unit == "MACs"
    assert (np.diff(cascade.tradeoff_.stage_cost) > 0).all()
    assert cascade.score(*data) > 0.6


@pytest.mark.parametrize(
    "labels",
    [[5, 7, 100], [-1, 0, 1], ["b", "a", "c"], [1.0, 2.0, 3.0]],
    ids=["ints", "negative", "str", "float"],
)
def test_kinds_of_y(labels):
    y = np.array(labels)[Y]
    cascade = make_cascade(GaussianNB(), raw_net(), torch_member(), random_state=0).fit(X, y)
    assert list(cascade.classes_) == sorted(labels)
    assert cascade.predict(X).dtype == y.dtype
    assert cascade.score(X, y) > 0.5
    again = clone(cascade).fit(X, y.tolist())
    assert np.array_equal(again.predict(X), cascade.predict(X))


def test_boolean_y():
    y = Y == 0
    cascade = make_cascade(GaussianNB(), torch_member(), random_state=0).fit(X, y)
    assert cascade.classes_.dtype == bool
    assert cascade.predict(X).dtype == bool
    assert cascade.score(X, y) > 0.6


# --- what a fitted cascade answers --------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    members = [
        ("tree", DecisionTreeClassifier(max_depth=2)),
        ("nb", GaussianNB()),
        ("forest", RandomForestClassifier(10)),
    ]
    return CascadeClassifier(members, cost=[1, 3, 20], random_state=0).fit(X, NAMES)


DIALS = st.one_of(
    st.builds(lambda alpha: {"alpha": alpha}, st.floats(0, 5)),
    st.builds(lambda drop: {"max_accuracy_drop": drop}, st.floats(0, 0.5)),
    st.builds(lambda cost: {"max_cost": cost}, st.floats(0.06, 2)),
)


@settings(deadline=None, max_examples=60)
@given(dial=DIALS)
def test_answers_agree_at_every_operating_point(fitted, dial):
    cascade = copy.copy(fitted).set_operating_point(**dial)
    visited, exits = cascade.decision_path(X), cascade.predict_exit(X)
    proba, staged = cascade.predict_proba(X), np.stack([*cascade.staged_predict_proba(X)], axis=1)
    assert visited.shape == (300, 3)
    last = np.array([np.flatnonzero(way)[-1] for way in visited])
    assert np.array_equal(exits, last)
    assert set(np.flatnonzero(visited.any(axis=0))) <= set(cascade.policy_.stages_)
    assert np.allclose(proba, staged[ROWS, exits], atol=1e-6)
    assert np.array_equal(cascade.predict(X), cascade.classes_[proba.argmax(axis=1)])
    paid = [sum(price for price, here in zip([1, 3, 20], way) if here) for way in visited]
    assert np.allclose(cascade.predict_cost(X), paid)


def test_log_proba_and_score(fitted):
    proba = fitted.predict_proba(X)
    with np.errstate(divide="ignore"):
        assert np.array_equal(fitted.predict_log_proba(X), np.log(proba))
    right = fitted.predict(X) == NAMES
    assert fitted.score(X, NAMES) == right.mean()
    weight = np.arange(300.0)
    assert np.isclose(fitted.score(X, NAMES, weight), np.average(right, weights=weight))


@pytest.mark.parametrize("alpha", [0.0, 0.01, 0.05, 0.2])
@pytest.mark.parametrize("kind", ["scikit-learn", "raw net", "TorchClassifier"])
def test_live_walk_is_replay_of_the_trace(kind, alpha):
    members = [("first", DecisionTreeClassifier(max_depth=3)), ("second", KINDS[kind]())]
    cascade = CascadeClassifier(members, cost=[1, 5], alpha=alpha, cv=SPLIT, random_state=0)
    cascade.fit(X, NAMES)
    held_out = X[SPLIT[0][1]]
    again = Trace.record(cascade._stages, held_out)
    assert np.array_equal(again.proba, cascade.trace_.proba)
    replay = walk(cascade.trace_, cascade.policy_)
    assert np.array_equal(cascade.predict_exit(held_out), replay.exit)
    assert np.array_equal(cascade.decision_path(held_out), replay.visited)
    assert np.allclose(cascade.predict_proba(held_out), replay.proba, atol=1e-6)


# --- operating points ---------------------------------------------------------------


@pytest.mark.parametrize(
    "dial", [{"alpha": 0.3}, {"max_accuracy_drop": 0.1}, {"max_cost": 0.3}, {}], ids=str
)
def test_moving_the_dial_is_a_fresh_fit_there(fitted, dial):
    moved = copy.copy(fitted).set_operating_point(alpha=2.0).set_operating_point(**dial)
    params = {"alpha": None, "max_accuracy_drop": None, "max_cost": None, **dial}
    assert {name: moved.get_params()[name] for name in params} == params
    assert {name: clone(moved).get_params()[name] for name in params} == params
    fresh = clone(fitted).set_params(**params).fit(X, NAMES)
    assert moved.policy_.stages_ == fresh.policy_.stages_
    assert np.array_equal(moved.policy_.thresholds_, fresh.policy_.thresholds_)
    assert moved.tradeoff_index_ == fresh.tradeoff_index_
    assert np.array_equal(moved.tradeoff_.accuracy, fresh.tradeoff_.accuracy)
    assert np.array_equal(moved.predict_proba(X), fresh.predict_proba(X))


def test_fit_uses_fit_policy():
    proba, y = sure_or_not()
    cascade = recorded(cv="prefit", max_accuracy_drop=0.01)
    cascade.members = [(name, member.fit(proba, y)) for name, member in cascade.members]
    cascade.fit(proba, y)
    policy = fit_policy(
        ConfidenceThreshold(), Trace(proba), y, cost=[1, 10], max_accuracy_drop=0.01, random_state=3
    )
    # Folds are drawn from another place, so only the candidates are the same, up to rounding.
    candidates = cascade._tuning.searches[False].policies
    assert any(np.allclose(policy.thresholds_, c.thresholds_, rtol=1e-12) for c in candidates)
    assert policy.stages_ == cascade.policy_.stages_ == [0, 1]


@pytest.mark.parametrize(
    ("dial", "message"),
    [
        ({"max_cost": 1e-3}, "`max_cost`=0.001 cannot be reached.*Raise `max_cost`"),
        ({"alpha": -1}, "`alpha` must be"),
        ({"alpha": 1, "max_cost": 1}, "At most one of"),
    ],
)
def test_a_dial_that_fails_leaves_all_as_it_was(fitted, dial, message):
    cascade = copy.copy(fitted).set_operating_point(alpha=0.1)
    before = dict(vars(cascade))
    with pytest.raises(ValueError, match=message):
        cascade.set_operating_point(**dial)
    assert vars(cascade).keys() == before.keys()
    assert all(vars(cascade)[name] is value for name, value in before.items())


def test_dropping_the_trace():
    n = 5000
    proba, y = sure_or_not(n=n)
    cascade = recorded(cv=0.8).fit(proba, y)
    trace = cascade.trace_
    assert trace.proba.nbytes == 0.8 * n * 2 * 2 * 4  # rows, stages, classes, bytes
    assert trace.proba.nbytes <= len(pickle.dumps(trace)) < trace.proba.nbytes + 1000
    size = len(pickle.dumps(cascade))
    del cascade.trace_
    assert len(pickle.dumps(cascade)) <= size - trace.proba.nbytes
    assert not hasattr(cascade, "trace_")
    # The curve was kept, so every point on it can be reached; a certified one cannot.
    exits = cascade.predict_exit(proba)
    assert not np.array_equal(cascade.set_operating_point(alpha=5.0).predict_exit(proba), exits)
    assert np.array_equal(cascade.set_operating_point().predict_exit(proba), exits)
    cascade.set_params(confidence_level=0.9)
    with pytest.raises(ValueError, match="trace was dropped.*Fit again"):
        cascade.set_operating_point(max_accuracy_drop=0.05)
    cascade.set_params(confidence_level=None).fit(proba, y)
    assert cascade.trace_.n_samples == 0.8 * n


def test_certified_point():
    proba, y = sure_or_not(n=4000, right_if_not=0.0)
    cascade = recorded(cv=0.5, confidence_level=0.9, max_accuracy_drop=0.02).fit(proba, y)
    assert cascade.policy_.stages_ == [0, 1]
    assert cascade._tuning.searches.keys() == {True}
    with pytest.warns(CascadeWarning, match="No operating point could be certified"):
        recorded(cv=0.5, confidence_level=0.9).fit(proba[:60], y[:60])


@pytest.mark.parametrize(
    "cv", [3, THREE_FOLDS, SPLIT, KFold(3)], ids=["int", "list", "one", "KFold"]
)
def test_confidence_level_refuses_members_that_are_not_deployed(cv):
    cascade = make_cascade(GaussianNB(), cv=cv, confidence_level=0.9)
    with pytest.raises(ValueError, match="`confidence_level` needs held-out answers of the very"):
        cascade.fit(X, Y)


@pytest.mark.parametrize("cv", [0.5, "prefit", 3])
def test_confidence_level_accepts_members_that_are_deployed(cv):
    proba, y = sure_or_not()
    cascade = recorded(cv=cv, confidence_level=0.9, max_accuracy_drop=0.5)
    if cv != 0.5:
        cascade.members = [
            (name, FrozenEstimator(member.fit(proba, y))) for name, member in cascade.members
        ]
    assert cascade.fit(proba, y).policy_.stages_ == [0]  # a drop of 0.35, by 250 rows or more


def test_loss_changes_the_choice():
    # The first stage is never wrong on class 0 and often on class 1.
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=600)
    first = np.where((y == 1) & (rng.uniform(size=600) < 0.5), 0, y)
    proba = Trace.from_top1(np.stack([first, y], axis=1), np.full((600, 2), 0.8), 2).proba
    bare = recorded(policy=ConfidenceThreshold(per_class=False))
    assert bare.fit(proba, y).policy_.stages_ == [1]  # equal confidence, whatever is answered
    plain = recorded().fit(proba, y)
    assert plain.policy_.stages_ == [0, 1]
    np.testing.assert_array_equal(plain.predict_exit(proba) == 0, first == 1)
    cascade = recorded(loss=wrong_on_class_zero).fit(proba, y)
    assert cascade.policy_.stages_ == [0]
    assert np.array_equal(cascade.tradeoff_.stage_accuracy, [1.0, 1.0])


def wrong_on_class_zero(y, proba):
    return ((y == 0) & (proba.argmax(axis=1) != 0)).astype(float)


# --- where the held-out answers come from -------------------------------------------


@pytest.mark.parametrize("cv", [THREE_FOLDS, KFold(3), 3], ids=["list", "KFold", "int"])
def test_folds_give_answers_out_of_fold_and_members_fitted_on_everything(cv):
    cascade = make_cascade(GaussianNB(), LogisticRegression(), cv=cv).fit(X, NAMES)
    folds = {3: StratifiedKFold(3)}.get(cv if isinstance(cv, int) else None, cv)
    folds = folds if isinstance(folds, list) else list(folds.split(X, Y))
    expected = np.concatenate(
        [
            np.stack(
                [
                    clone(member).fit(X[train], NAMES[train]).predict_proba(X[test])
                    for _, member in cascade.members
                ],
                axis=1,
            )
            for train, test in folds
        ]
    )
    assert np.array_equal(cascade.trace_.proba, expected.astype(np.float32))
    assert np.array_equal(cascade.members_.gaussiannb.theta_, GaussianNB().fit(X, Y).theta_)


@pytest.mark.parametrize("cv", [SPLIT, 0.25])
def test_one_split_leaves_members_as_fitted_on_the_rest(cv):
    cascade = make_cascade(GaussianNB(), cv=cv, random_state=0).fit(X, NAMES)
    train, test = SPLIT[0]
    if cv == 0.25:
        known = cascade.members_.gaussiannb.class_count_.sum()
        assert (known, cascade.trace_.n_samples) == (225, 75)
    else:
        assert np.array_equal(
            cascade.members_.gaussiannb.theta_, GaussianNB().fit(X[train], Y[train]).theta_
        )
        assert cascade.trace_.n_samples == len(test)


def test_prefit_fits_nobody():
    members = [
        ("nb", GaussianNB().fit(X, NAMES)),
        ("net", raw_net().fit(X.astype(np.float32), Y)),
        ("torch", torch_member().fit(X, NAMES)),
    ]
    before = [member.predict_proba(X.astype(np.float32)) for _, member in members]
    weights = copy.deepcopy(members[1][1].module_.state_dict())
    theta = members[0][1].theta_.copy()
    cascade = CascadeClassifier(members, cv="prefit", random_state=0).fit(X, NAMES)
    assert [cascade.members_[name] is member for name, member in members] == [True] * 3
    assert np.array_equal(members[0][1].theta_, theta)
    for name, value in members[1][1].module_.state_dict().items():
        assert torch.equal(value, weights[name])
    after = [member.predict_proba(X.astype(np.float32)) for _, member in members]
    assert all(np.array_equal(a, b) for a, b in zip(before, after))
    assert cascade.trace_.n_samples == 300


def test_frozen_member_beside_others():
    frozen = GaussianNB().fit(X, NAMES)
    state = pickle.dumps(frozen)
    members = [("frozen", FrozenEstimator(frozen)), ("lr", LogisticRegression())]
    cascade = CascadeClassifier(members, cv=SPLIT).fit(X, NAMES)
    assert pickle.dumps(frozen) == state
    expected = LogisticRegression().fit(X[SPLIT[0][0]], NAMES[SPLIT[0][0]])
    assert np.array_equal(cascade.members_.lr.coef_, expected.coef_)


def test_splitters_follow_the_random_state_of_the_cascade():
    for cv in (KFold(3, shuffle=True), ShuffleSplit(1)):
        one, two, other = (
            make_cascade(GaussianNB(), cv=cv, random_state=seed).fit(X, Y).trace_.proba
            for seed in (0, 0, 1)
        )
        assert np.array_equal(one, two)
        assert not np.array_equal(one, other)
        assert cv.random_state is None


# --- costs --------------------------------------------------------------------------


def test_default_cost_is_macs():
    cascade = make_cascade(LogisticRegression(), torch_member(Logits), random_state=0).fit(X, Y)
    assert cascade.cost_.unit == "MACs"
    assert np.array_equal(cascade.cost_.edge_costs_[0], [3 * 8, 3 * 8])


def test_members_that_cannot_be_counted_cost_one_unit_each():
    proba, y = sure_or_not()
    cascade = recorded(cost=None)
    with pytest.warns(CascadeWarning, match="Every stage is priced at one unit.*Recorded.*`cost`"):
        cascade.fit(proba, y)
    assert np.array_equal(cascade.cost_.edge_costs_[0], [1, 1])


@pytest.mark.parametrize("cost", [[1, 9], (1.0, 9.0), np.array([1, 9]), FixedCost([1, 9])], ids=str)
def test_given_costs(cost):
    cascade = make_cascade(GaussianNB(), LogisticRegression(), cost=cost, random_state=0)
    cascade.fit(X, Y)
    assert np.array_equal(cascade.cost_.edge_costs_[0], [1, 9])
    assert cascade.cost_ is not cost
    assert not hasattr(cost, "edge_costs_")


def test_latency_is_measured_on_held_out_rows():
    cost = LatencyCost(n_repeats=2, sizes=(1, 8))
    cascade = make_cascade(GaussianNB(), RandomForestClassifier(20), cost=cost, random_state=0)
    cascade.fit(X, Y)
    assert cascade.cost_.unit == "seconds"
    assert cascade.cost_.edge_costs_[0, 0] < cascade.cost_.edge_costs_[0, 1]
    assert cascade.predict_cost(X).min() > 0


# --- policies -----------------------------------------------------------------------


def test_custom_policy_with_only_exit_mask_is_pruned():
    proba, y = sure_or_not(right_if_sure=1.0, right_if_not=0.0)
    hopeless = Trace.from_top1(1 - y[:, np.newaxis], np.full((len(y), 1), 0.6), 2).proba
    three = np.concatenate([proba[:, :1], hopeless, proba[:, 1:]], axis=1)
    cascade = recorded(3, policy=Sure(), alpha=0.001).fit(three, y)
    assert cascade.policy_.stages_ == [0, 2]
    path = cascade.decision_path(three)
    assert not path[:, 1].any()
    assert path[:, 0].all()
    assert 0.3 < path[:, 2].mean() < 0.7
    # Entry and end are pruned alike.
    assert cascade.set_operating_point(alpha=100.0).policy_.stages_ == [0]
    poor, y = sure_or_not(right_if_sure=0.5)
    assert recorded(policy=Sure(), alpha=0.001).fit(poor, y).policy_.stages_ == [1]


def test_base_fine_tune_leaves_members_bit_equal():
    cascade = make_cascade(GaussianNB(), torch_member(), random_state=0).fit(X, Y)
    stages, before = cascade._stages, cascade.predict_proba(X)
    weights = copy.deepcopy(cascade.members_.torchclassifier.module_.state_dict())
    policy = ConfidenceThreshold()
    assert policy.fine_tune(stages, X, Y, None, None, cascade.cost_, None) is stages
    for name, value in cascade.members_.torchclassifier.module_.state_dict().items():
        assert torch.equal(value, weights[name])
    assert np.array_equal(cascade.predict_proba(X), before)
    bare = TorchClassifier(max_epochs=3, random_state=1).fit(X, Y)
    alone = make_cascade(bare, cv="prefit").fit(X, Y)
    assert np.array_equal(alone.predict_proba(X), bare.predict_proba(X))


class Seen(GaussianNB):
    """Knows which rows it was fitted on: the first column of X."""

    def fit(self, X, y):
        self.rows_ = X[:, 0].astype(int)
        return super().fit(X, y)


class Replacing(Sure):
    """Puts members that answer with the row's share of 1,000 in place of the fitted ones."""

    validation_fraction = 0.25

    def fine_tune(self, stages, X, y, X_val, y_val, cost, target):
        calls.append((stages.members, X[:, 0], y, X_val[:, 0], y_val, target.alpha))
        return Stages([("one", EstimatorMember(Sharer()))], stages.classes)


class Sharer(BaseEstimator):
    classes_ = np.unique(NAMES)

    def predict_proba(self, X):
        share = X[:, 0] / 1000
        return np.stack([share, 1 - share, 0 * share], axis=1)


calls = []


@pytest.mark.parametrize("cv", [SPLIT, THREE_FOLDS], ids=["one split", "folds"])
def test_fine_tune_that_replaces_the_stages(cv, tmp_path):
    calls.clear()
    numbered = np.column_stack([ROWS, X])
    cascade = make_cascade(
        Seen(), policy=Replacing(), cv=cv, cost=[1], alpha=0.2, memory=str(tmp_path), random_state=0
    ).fit(numbered, NAMES)
    assert len(calls) == (1 if cv is SPLIT else 4)
    for i, (members, rows, codes, kept, codes_kept, alpha) in enumerate(calls):
        train, test = cv[i] if i < len(cv) else (ROWS, [])
        [(_, member)] = members
        assert np.array_equal(member.estimator.rows_, rows)
        assert sorted([*rows, *kept]) == sorted(train)
        assert len(kept) == round(len(train) / 4)
        assert not set(kept) & set(test)
        assert np.array_equal(codes, Y[rows.astype(int)])
        assert np.array_equal(codes_kept, Y[kept.astype(int)])
        assert alpha == 0.2
    held_out = np.concatenate([test for _, test in cv])
    assert np.allclose(cascade.trace_.proba[:, 0, 0], held_out / 1000)
    assert np.allclose(cascade.predict_proba(numbered)[:, 0], ROWS / 1000)
    assert cascade.stage_names_ == ["one"]


# --- weights ------------------------------------------------------------------------


def test_weights_are_repeated_rows():
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 4, len(Y))
    train, test = SPLIT[0]
    again = [np.repeat(rows, weight[rows]) for rows in (train, test)]
    rows = np.concatenate(again)
    split = [(np.arange(len(again[0])), np.arange(len(again[0]), len(rows)))]
    members = [
        ("nb", GaussianNB()),
        ("lr", LogisticRegression(solver="newton-cholesky", tol=1e-10)),
    ]
    # Chances are shrunk by how many rows there are, not by how much they weigh.
    policy = ConfidenceThreshold(per_class=False)
    params = {"policy": policy, "cost": [1, 3], "alpha": 0.02, "random_state": 0}
    weighted = CascadeClassifier(members, cv=SPLIT, **params).fit(X, Y, sample_weight=weight)
    repeated = CascadeClassifier(members, cv=split, **params).fit(X[rows], Y[rows])
    plain = CascadeClassifier(members, cv=SPLIT, **params).fit(X, Y)
    assert np.allclose(weighted.members_.nb.theta_, repeated.members_.nb.theta_)
    assert np.allclose(weighted.members_.lr.coef_, repeated.members_.lr.coef_, atol=1e-7)
    assert not np.allclose(weighted.members_.lr.coef_, plain.members_.lr.coef_, atol=1e-3)
    one, two, three = (
        cascade._tuning.searches[False].policies for cascade in (weighted, repeated, plain)
    )
    assert [p.stages_ for p in one] == [p.stages_ for p in two]
    cuts = [np.stack([p.thresholds_ for p in policies]) for policies in (one, two, three)]
    assert np.allclose(cuts[0], cuts[1], atol=1e-6)
    assert not np.allclose(cuts[0], cuts[2], atol=1e-6)
    share = weight[test] / weight[test].sum()
    right = weighted.trace_.proba.argmax(axis=2) == Y[test, np.newaxis]
    assert np.allclose(weighted.tradeoff_.stage_accuracy, share @ right)
    assert np.allclose(repeated.tradeoff_.stage_accuracy, share @ right)


def test_weights_that_leave_one_class_held_out_are_told_before_fitting(tmp_path):
    log = tmp_path / "log"
    weight = np.ones(len(Y))
    weight[200:][Y[200:] > 0] = 0
    with pytest.raises(ValueError, match="`sample_weight` is zero on .* one class"):
        make_cascade(Counted(str(log)), cv=SPLIT).fit(X, Y, sample_weight=weight)
    assert n_fits(log) == 0


# --- how often members are fitted ---------------------------------------------------


@pytest.mark.parametrize(
    ("cv", "expected"), [(0.2, 1), (SPLIT, 1), (3, 4), (THREE_FOLDS, 4)], ids=str
)
@pytest.mark.parametrize("cached", [False, True])
def test_each_member_is_fitted_once_per_fold(cv, expected, cached, tmp_path):
    log = tmp_path / "log"
    cascade = make_cascade(
        Counted(str(log)),
        Counted(str(log), var_smoothing=0.1),
        cv=cv,
        memory=str(tmp_path / "cache") if cached else None,
        random_state=0,
    ).fit(X, Y)
    assert n_fits(log) == 2 * expected
    cascade.set_operating_point(alpha=0.5).predict(X)
    assert n_fits(log) == 2 * expected
    first = cascade.fit(X, Y).predict_proba(X)
    assert n_fits(log) == 2 * expected * (1 if cached else 2)
    assert np.array_equal(cascade.set_params(memory=None).fit(X, Y).predict_proba(X), first)


@pytest.mark.parametrize("cached", [False, True])
def test_search_over_alphas(cached, tmp_path):
    log = tmp_path / "log"
    cascade = make_cascade(
        Counted(str(log)), LogisticRegression(), memory=tmp_path / "cache", random_state=0
    )
    cascade.memory = str(tmp_path / "cache") if cached else None
    grid = {"alpha": [0.001, 0.01, 0.1, 1.0]}
    search = GridSearchCV(cascade, grid, cv=3).fit(X, Y)
    fits = log.read_text().splitlines()
    # Once per outer fold and once more to refit, or for every candidate.
    assert len(fits) == (4 if cached else 13)
    # All candidates see the same inner splits.
    assert len(set(fits)) == 4
    assert search.best_estimator_.alpha in grid["alpha"]


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_memory_needs_an_int(random_state, tmp_path):
    log = tmp_path / "log"
    cascade = make_cascade(
        Counted(str(log)), memory=str(tmp_path / "cache"), random_state=random_state
    )
    with pytest.raises(ValueError, match="`memory` needs an int `random_state`"):
        cascade.fit(X, Y)
    assert n_fits(log) == 0


def test_memory_finds_nets_again(tmp_path):
    CountedNet.n_fits = CountedTorch.n_fits = 0
    cascade = make_cascade(
        CountedNet(Perceptron, max_epochs=2, verbose=0),
        make_pipeline(FunctionTransformer(np.float32), CountedNet(Perceptron, lr=0.1, verbose=0)),
        CountedTorch(max_epochs=2),
        CountedTorch(nn.Linear(8, 3), max_epochs=2),
        memory=joblib.Memory(tmp_path, verbose=0),
        random_state=0,
    ).fit(X, Y)
    expected = cascade.predict_proba(X)
    assert (CountedNet.n_fits, CountedTorch.n_fits) == (2, 2)
    for other in (clone(cascade), pickle.loads(pickle.dumps(cascade)), clone(clone(cascade))):
        assert np.array_equal(other.fit(X, Y).predict_proba(X), expected)
        assert np.array_equal(other.trace_.proba, cascade.trace_.proba)
    GridSearchCV(cascade, {"alpha": [0.01, 0.1, 1.0]}, cv=2, refit=False).fit(X, Y)
    assert (CountedNet.n_fits, CountedTorch.n_fits) == (2 + 2 * 2, 2 + 2 * 2)
    # What decides the outcome is told apart: other parameters, rows, seeds, weights.
    clone(cascade).set_params(countednet__lr=0.5).fit(X, Y)
    assert CountedNet.n_fits == 7
    clone(cascade).set_params(random_state=1).fit(X, Y)
    assert (CountedNet.n_fits, CountedTorch.n_fits) == (9, 8)
    other = clone(cascade)
    with torch.no_grad():
        dict(other.members)["countedtorch-2"].module.weight += 1
    other.fit(X, Y)
    assert CountedTorch.n_fits == 9
    other.fit(X[::-1], Y[::-1])
    assert (CountedNet.n_fits, CountedTorch.n_fits) == (11, 11)


@pytest.mark.parametrize(
    "make",
    [
        lambda y: GaussianNB().fit(X, y),
        lambda y: make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y),
        lambda y: RandomForestClassifier(3, random_state=0).fit(X, y),
        lambda y: CalibratedClassifierCV(GaussianNB(), cv=2).fit(X, y),
        lambda y: GridSearchCV(GaussianNB(), {"var_smoothing": [0.1]}, cv=2).fit(X, y),
        lambda y: TorchClassifier(max_epochs=2, random_state=0).fit(X, y),
        lambda y: make_pipeline(
            FunctionTransformer(np.float32), raw_net(iterator_train__shuffle=False)
        ).fit(X, y),
    ],
    ids=["nb", "pipeline", "forest", "calibrated", "search", "torch", "net in a pipeline"],
)
def test_memory_tells_frozen_members_apart(make, tmp_path):
    for labels in (Y, (Y + 1) % 3):
        member = FrozenEstimator(make(labels))
        cascade = make_cascade(member, cost=[1], memory=str(tmp_path), random_state=0).fit(X, Y)
        expected = member.predict_proba(X.astype(np.float32))
        assert np.allclose(cascade.predict_proba(X), expected, atol=1e-5)
        assert np.array_equal(clone(cascade).fit(X, Y).trace_.proba, cascade.trace_.proba)


class CountingPolicy(ConfidenceThreshold):
    """Counts how often its candidates are solved for."""

    solved = 0

    def fit_path(self, *args):
        type(self).solved += 1
        return super().fit_path(*args)


def test_memory_keeps_the_search_for_all_operating_points(tmp_path):
    members = [("nb", GaussianNB()), ("lr", LogisticRegression())]
    base = {"members": members, "cost": [1, 10], "random_state": 0}
    kept, fresh = [], []
    for alpha in (0.01, 0.1, 0.5):
        CountingPolicy.solved = 0
        cascade = CascadeClassifier(
            policy=CountingPolicy(), alpha=alpha, memory=str(tmp_path), **base
        ).fit(X, Y)
        kept.append((CountingPolicy.solved, cascade.policy_.thresholds_.tolist()))
        other = CascadeClassifier(alpha=alpha, **base).fit(X, Y)
        fresh.append(other.policy_.thresholds_.tolist())
    assert kept[0][0] > 0
    assert [solved for solved, _ in kept[1:]] == [0, 0]
    assert [thresholds for _, thresholds in kept] == fresh
    margin = CountingPolicy("margin")  # another policy is another search
    CascadeClassifier(policy=margin, memory=str(tmp_path), **base).fit(X, Y)
    assert CountingPolicy.solved > 0


def test_memory_takes_policies_with_functions_without_a_name(tmp_path):
    policy = WeightedBinary(features=lambda stage, proba: proba[:, stage, :1])
    members = [("nb", GaussianNB()), ("lr", LogisticRegression())]
    params = {"members": members, "cost": [1, 10], "random_state": 0, "policy": policy}
    cached = CascadeClassifier(memory=str(tmp_path), **params).fit(X, Y)
    fresh = CascadeClassifier(**params).fit(X, Y)
    np.testing.assert_array_equal(cached.predict(X), fresh.predict(X))


def test_memory_keeps_losses_and_weights_apart(tmp_path):
    proba, y = sure_or_not()
    plain = recorded(memory=str(tmp_path)).fit(proba, y)
    free = recorded(memory=str(tmp_path), loss=no_loss).fit(proba, y)
    assert free.policy_.stages_ == [0] != plain.policy_.stages_
    cascade = make_cascade(GaussianNB(), memory=str(tmp_path), random_state=0)
    theta = cascade.fit(X, Y).members_.gaussiannb.theta_
    weighted = cascade.fit(X, Y, sample_weight=1 + (ROWS % 2)).members_.gaussiannb.theta_
    assert not np.allclose(theta, weighted)


def no_loss(y, proba):
    return np.zeros(len(y))


# --- the same again -----------------------------------------------------------------


RANDOM = {
    "tree": DecisionTreeClassifier(max_depth=3, max_features=1),
    "torch": torch_member(),
    "forest": make_pipeline(StandardScaler(), RandomForestClassifier(5)),
    "net": raw_net(),
}


def random_cascade(*names, **params):
    members = [(name, RANDOM[name]) for name in names or RANDOM]
    cost = np.arange(1, len(members) + 1)
    return CascadeClassifier(members, **{"random_state": 0, "cost": cost, **params})


def test_random_state_seeds_everything_and_nothing_else():
    before = joblib.hash(np.random.get_state()), torch.random.get_rng_state()
    one = random_cascade().fit(X, Y)
    assert joblib.hash(np.random.get_state()) == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])
    np.random.uniform()
    torch.rand(1)
    two, three = random_cascade().fit(X, Y), random_cascade(random_state=1).fit(X, Y)
    assert np.array_equal(one.trace_.proba, two.trace_.proba)
    assert np.array_equal(one.tradeoff_.accuracy, two.tradeoff_.accuracy)
    for a, b, c in zip(*(m.staged_predict_proba(X) for m in (one, two, three))):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)


def test_random_state_leaves_seeds_of_members_alone():
    members = [("a", DecisionTreeClassifier(random_state=5)), ("b", DecisionTreeClassifier())]
    cascade = CascadeClassifier(members, random_state=0).fit(X, Y)
    assert cascade.members_.a.random_state == 5
    assert isinstance(cascade.members_.b.random_state, int)
    cascade.set_params(random_state=None).fit(X, Y)
    assert cascade.members_.b.random_state is None
    assert members[1][1].random_state is None


@pytest.mark.parametrize("cv", [0.2, 3])
def test_n_jobs_changes_nothing(cv):
    # Not the raw net: workers may not be able to import this file.
    serial = random_cascade("tree", "torch", "forest", cv=cv).fit(X, Y)
    with joblib.parallel_config("loky"):
        parallel = clone(serial).set_params(n_jobs=2).fit(X, Y)
    assert np.array_equal(serial.trace_.proba, parallel.trace_.proba)
    assert np.array_equal(serial.predict_proba(X), parallel.predict_proba(X))


def test_threads_fit_too():
    serial = make_cascade(GaussianNB(), LogisticRegression(), cv=2).fit(X, Y)
    with joblib.parallel_config("threading"):
        parallel = clone(serial).set_params(n_jobs=2).fit(X, Y)
    assert np.array_equal(serial.predict_proba(X), parallel.predict_proba(X))


LOCAL_NET = """
import joblib, torch
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB
from skorch import NeuralNetClassifier
from skcascade import make_cascade

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 3)

    def forward(self, X):
        return self.linear(X).softmax(-1)

class Loud(GaussianNB):
    def fit(self, X, y):
        print("fitted")
        return super().fit(X, y)

if __name__ == "__main__":
    X, y = load_iris(return_X_y=True)
    net = NeuralNetClassifier(Net, max_epochs=2, verbose=0)
    cascade = make_cascade(Loud(), net, n_jobs=2, random_state=0, cost=[1, 2])
    try:
        cascade.fit(X, y)
    except ValueError as error:
        print(error)
    with joblib.parallel_config("threading"):
        print(cascade.fit(X, y).predict_proba(X).shape)
    print(cascade.set_params(n_jobs=None).fit(X, y).predict_proba(X).shape)
"""


def test_net_of_the_main_script_in_parallel(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(LOCAL_NET)
    lines = run_python(str(script))
    assert lines[0].startswith("Member 'neuralnetclassifier' has a torch module whose class is")
    assert lines[0].endswith("Move the class to a module that can be imported, or set n_jobs=None.")
    assert lines[1:] == ["fitted", "(150, 3)", "fitted", "(150, 3)"]


def run_python(*args):
    """Lines that Python prints when run from here; warnings are errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *args],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


class Local(nn.Linear):
    """As if it were defined in a script or notebook."""

    def __init__(self, n_features=8, n_classes=3):
        super().__init__(n_features, n_classes)


Local.__module__ = "__main__"


@pytest.mark.parametrize(
    "make",
    [
        lambda: raw_net(Local),
        lambda: make_pipeline(FunctionTransformer(np.float32), raw_net(Local)),
        lambda: CalibratedClassifierCV(raw_net(Local)),
        lambda: FrozenEstimator(raw_net(Local).initialize()),
        lambda: torch_member(Local),
        lambda: Local,
        lambda: Local(),
        lambda: nn.Sequential(nn.Flatten(), Local()),
        lambda: make_cascade(Local()),
    ],
)
def test_local_nets_are_found_before_anything_is_fitted(make, tmp_path):
    log = tmp_path / "log"
    cascade = CascadeClassifier([("counted", Counted(str(log))), ("net", make())], n_jobs=2)
    with (
        joblib.parallel_config("loky"),
        pytest.raises(ValueError, match="'net' has a torch module .*`__main__`.*n_jobs=None"),
    ):
        cascade.fit(X, Y)
    assert n_fits(log) == 0
    assert not is_local_net(GaussianNB())
    assert not is_local_net(raw_net())


# --- what it says -------------------------------------------------------------------


def test_verbose_names_members(capsys):
    members = [("small", GaussianNB()), ("large", LogisticRegression())]
    CascadeClassifier(members, cv=2).fit(X, Y)
    assert capsys.readouterr().out == ""
    CascadeClassifier(members, verbose=1).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[CascadeClassifier] (1 of 2) Fitting small ..."
    assert lines[1].startswith("[CascadeClassifier] (1 of 2) small: 0.")
    assert lines[1].endswith(" s")
    assert lines[2] == "[CascadeClassifier] (2 of 2) Fitting large ..."
    assert len(lines) == 4
    CascadeClassifier(members, cv=2, verbose=True).fit(X, Y)
    assert len(capsys.readouterr().out.splitlines()) == 2 * 6


def test_summary_of_a_cascade_that_is_worth_it():
    proba, y = sure_or_not(right_if_not=0.5)
    cascade = recorded(cv=0.5).fit(proba, y)
    head, small, large, total, verdict = cascade.summary().splitlines()
    assert head.split() == "stage accuracy cost leave here accuracy of those".split()
    name, accuracy, cost, leave, accuracy_there = small.split()
    assert (name, cost, accuracy_there) == ("stage0", "0.1000", "1.0000")
    assert 0.7 < float(accuracy) < 0.8
    assert 40 < float(leave.rstrip("%")) < 60
    assert large.split()[:3] == ["stage1", "1.0000", "1.0000"]
    assert float(large.split()[3].rstrip("%")) == pytest.approx(100 - float(leave.rstrip("%")))
    assert total.split() == [
        "cascade",
        "1.0000",
        f"{cascade.tradeoff_.relative_cost[cascade.tradeoff_index_]:.4f}",
    ]
    assert verdict.startswith("Worth a cascade: ")
    assert "'stage1' alone, accuracy +0.0000" in verdict


def test_summary_where_one_stage_is_as_good():
    proba, y = sure_or_not(right_if_sure=1.0, right_if_not=1.0)
    lines = recorded().fit(proba, y).summary().splitlines()
    assert lines[-1].startswith("One stage alone is as good")
    assert "'stage0' serves" in lines[-1]
    assert lines[1].split()[3:] == ["100.0%", "1.0000"]
    assert lines[2].split()[3:] == ["not", "used"]
    proba, y = sure_or_not(right_if_sure=0.4)
    text = recorded().fit(proba, y).summary()
    assert "One stage alone is as good" in text
    assert "'stage1' serves" in text


LAZY = """
import sys
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB
from sklearn.linear_model import LogisticRegression
import skcascade, skcascade.policies, skcascade.costs, skcascade.members
X, y = load_iris(return_X_y=True)
members = GaussianNB(), LogisticRegression(max_iter=1000)
cascade = skcascade.make_cascade(*members, random_state=0).fit(X, y)
cascade.predict(X), cascade.summary(), cascade._repr_html_()
print(sorted({"torch", "skorch", "matplotlib"} & set(sys.modules)))
"""


def test_scikit_learn_members_load_neither_torch_nor_matplotlib():
    assert run_python("-c", LAZY) == ["[]"]
