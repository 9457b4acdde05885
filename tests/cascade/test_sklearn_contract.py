"""scikit-learn's contract: checks in full, searches, copies, routing, callbacks."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch import NeuralNetClassifier
from torch import nn

from skcascade import CascadeClassifier, make_cascade
from skcascade.exceptions import CascadeWarning
from skcascade.members import EarlyExitNetClassifier, TorchClassifier
from skcascade.nets import EarlyExitNet
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold, Reinforce, WeightedBinary

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)


class Perceptron(nn.Module):
    """Finds out the number of features itself."""

    def __init__(self, n_classes=2):
        super().__init__()
        self.layers = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, n_classes))

    def forward(self, X):
        return self.layers(X).softmax(-1)


class ThreeExits(EarlyExitNet):
    """Three layers, each with an exit."""

    def __init__(self, n_features, n_classes):
        widths = [n_features, 8, 8]
        blocks = [nn.Sequential(nn.Linear(width, 8), nn.ReLU()) for width in widths]
        super().__init__(blocks, [nn.Linear(8, n_classes) for _ in widths])


class SelfSizing(NeuralNetClassifier):
    """Finds out the number of classes itself."""

    def fit(self, X, y, **params):
        self.set_params(module__n_classes=len(np.unique(y)))
        return super().fit(X, y, **params)


def raw_net():
    return SelfSizing(Perceptron, max_epochs=20, lr=0.1, train_split=None, verbose=0)


def three_exits():
    return EarlyExitNetClassifier(ThreeExits, max_epochs=10, lr=0.01, train_split=None)


def small_large(**params):
    members = [("small", GaussianNB()), ("large", LogisticRegression())]
    return CascadeClassifier(members, **{"cost": [1, 5], "random_state": 0, **params})


class Weighed(GaussianNB):
    """Notes the weights it was fitted with."""

    def fit(self, X, y, sample_weight=None):
        self.weight_ = sample_weight
        return super().fit(X, y, sample_weight)


class WeighedPolicy(BaseExitPolicy):
    """Notes the weights it was fitted with."""

    def fit(self, trace, y, cost, alpha, sample_weight=None):
        self.weight_ = sample_weight
        return self

    def exit_mask(self, stage, proba):
        return proba[:, stage].max(axis=1) > 0.8


#: Nets cannot take weights, and a cascade warns of that.
UNWEIGHTED = "ignore:Member '.*' .* cannot take `sample_weight`:skcascade.exceptions.CascadeWarning"
#: Cascades of whose samples nets answer some; after naive Bayes the other nets answer none.
ANSWERED_BY_NETS = [], ["selfsizing"], ["gaussiannb", "torchclassifier"]
EQUIVALENCE = "check_sample_weight_equivalence_on_dense_data"


def expected_failures(cascade):
    """Where a row of weight 2 is not the same as two rows, and why; all else must pass.

    scikit-learn gives both fits the same folds, so thresholds do pass.
    """
    if cascade.reject_rate is not None:
        return {"check_classifiers_classes": "-1 is a label there, and that of rejected samples"}
    if isinstance(cascade.policy, WeightedBinary):
        return {EQUIVALENCE: "rows, not weights, are drawn for the folds of the learned rules"}
    if isinstance(cascade.policy, Reinforce):
        return {EQUIVALENCE: "rows, not weights, are drawn for mini-batches and for validation"}
    if [name for name, _ in cascade.members or []] in ANSWERED_BY_NETS:
        return {EQUIVALENCE: "nets cannot take weights, of which the cascade warns"}
    return {}


PER_STAGE = ConfidenceThreshold(tuning="per_stage")


@parametrize_with_checks(
    [
        CascadeClassifier(),
        make_cascade(LogisticRegression(), GaussianNB()),
        make_cascade(LogisticRegression(), GaussianNB(), cv=3),
        make_cascade(LogisticRegression(), GaussianNB(), cost=[1, 10]),
        make_cascade(LogisticRegression(), GaussianNB(), policy=PER_STAGE),
        make_cascade(LogisticRegression(), GaussianNB(), loss="brier"),
        make_cascade(LogisticRegression(), GaussianNB(), reject_rate=0.0),
        # One of them accepts NaN.
        make_cascade(
            DecisionTreeClassifier(max_depth=3, random_state=0), LogisticRegression(), cost=[1, 5]
        ),
        make_cascade(GaussianNB(), raw_net(), random_state=0),
        make_cascade(raw_net(), random_state=0),
        make_cascade(GaussianNB(), TorchClassifier(max_epochs=10)),
        make_cascade(LogisticRegression(), GaussianNB(), policy=WeightedBinary()),
        make_cascade(LogisticRegression(), GaussianNB(), policy=WeightedBinary(skip=True)),
        make_cascade(LogisticRegression(), GaussianNB(), policy=Reinforce(), random_state=0),
        CascadeClassifier(policy=Reinforce("exact", max_epochs=2)),
        make_cascade(GaussianNB(), three_exits(), random_state=0),
        make_cascade(
            three_exits(),
            TorchClassifier(max_epochs=10),
            policy=Reinforce(max_epochs=1),
            random_state=0,
        ),
    ],
    expected_failed_checks=expected_failures,
)
@pytest.mark.filterwarnings(UNWEIGHTED)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


# Compositions and searches ----------------------------------------------------------------


def test_in_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), small_large()).fit(X, Y)
    alone = small_large().fit(StandardScaler().fit_transform(X), Y)
    assert np.array_equal(
        pipeline.predict_proba(X), alone.predict_proba(StandardScaler().fit_transform(X))
    )
    assert cross_val_score(pipeline, X, Y).mean() > 0.6


@pytest.mark.parametrize(
    "grid",
    [
        {"alpha": [0.0, 0.01, 10.0]},
        {"max_accuracy_drop": [0.0, 0.1]},
        {"reject_rate": [0.0, 0.05]},
        {"large__C": [1e-6, 1.0]},
        {"policy__confidence": ["max_proba", "margin", "entropy"]},
        {"large": [KNeighborsClassifier(), LogisticRegression()], "cost": [[1, 9]]},
    ],
    ids=lambda grid: next(iter(grid)),
)
def test_grid_search(grid):
    search = GridSearchCV(small_large(policy=ConfidenceThreshold()), grid, cv=3).fit(X, Y)
    assert search.best_params_.keys() == grid.keys()
    for name, value in search.best_params_.items():
        assert str(search.best_estimator_.get_params()[name]) == str(value)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert search.score(X, Y) > 0.6


def test_searched_values_reach_members_and_policy():
    grid = {"large__C": [1e-6], "alpha": [100.0]}
    search = GridSearchCV(small_large(cost=[1, 4]), grid, cv=2).fit(X, Y)
    best = search.best_estimator_
    assert best.members_.large.C == 1e-6
    assert np.abs(best.members_.large.coef_).max() < 0.01
    assert best.policy_.stages_ == [0]  # cost is all that counts


def test_losses_are_searched():
    losses = ["zero_one", "brier", "balanced", np.ones((3, 3)) - np.eye(3)]
    search = GridSearchCV(small_large(), {"loss": losses}, cv=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    again = [clone(small_large(loss=loss)).fit(X, Y).tradeoff_.metric for loss in losses]
    assert again == ["accuracy", "1 - Brier loss", "balanced accuracy", "1 - cost"]


def test_get_and_set_params():
    cascade = small_large(policy=ConfidenceThreshold())
    params = cascade.get_params()
    assert params["large__C"] == 1.0
    assert params["large"] is cascade.members[1][1]
    assert params["policy__confidence"] == "max_proba"
    cascade.set_params(large__C=3.0, policy__confidence="margin", alpha=0.2)
    assert (cascade.members[1][1].C, cascade.policy.confidence, cascade.alpha) == (
        3.0,
        "margin",
        0.2,
    )
    tree = DecisionTreeClassifier()
    cascade.set_params(large=tree)
    assert cascade.members[1] == ("large", tree)
    with pytest.raises(ValueError, match="Invalid parameter 'C'"):
        cascade.set_params(large__C=1.0)
    assert "small__var_smoothing" not in cascade.get_params(deep=False)


# Copies and fitting again -----------------------------------------------------------------


MIXES = {
    "scikit-learn": lambda: small_large(),
    "torch": lambda: make_cascade(GaussianNB(), TorchClassifier(max_epochs=2), random_state=0),
    "raw net": lambda: make_cascade(GaussianNB(), raw_net(), random_state=0),
    "modules": lambda: make_cascade(nn.Linear(8, 3), Linear, random_state=0, cost=[1, 2]),
}


class Linear(nn.Linear):
    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)


@pytest.mark.parametrize("kind", MIXES)
def test_round_trips_predict_bit_equal(kind, tmp_path):
    cascade = MIXES[kind]().fit(X, Y)
    expected = cascade.predict_proba(X)
    again = pickle.loads(pickle.dumps(cascade))
    assert np.array_equal(again.predict_proba(X), expected)
    joblib.dump(cascade, tmp_path / "cascade.joblib")
    again = joblib.load(tmp_path / "cascade.joblib")
    assert np.array_equal(again.predict_proba(X), expected)
    assert np.array_equal(
        again.set_operating_point(alpha=0.1).tradeoff_.cost, cascade.tradeoff_.cost
    )
    # A clone is unfitted, and fits to the same.
    again = clone(cascade)
    assert not hasattr(again, "policy_")
    assert not hasattr(again, "members_")
    assert np.array_equal(again.fit(X, Y).predict_proba(X), expected)


def test_refit_starts_afresh():
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    cascade = small_large(alpha=0.0).fit(frame, Y)
    assert list(cascade.feature_names_in_) == list("abcdefgh")
    names = np.array(["no", "yes"])[Y % 2]
    cascade.set_operating_point(alpha=5.0)
    cascade.set_params(alpha=0.0).fit(X[:, :5], names)
    fresh = small_large(alpha=0.0).fit(X[:, :5], names)
    assert list(cascade.classes_) == ["no", "yes"]
    assert cascade.n_features_in_ == 5
    assert not hasattr(cascade, "feature_names_in_")
    assert vars(cascade).keys() == vars(fresh).keys()
    assert np.array_equal(cascade.predict_proba(X[:, :5]), fresh.predict_proba(X[:, :5]))
    assert np.array_equal(cascade.trace_.proba, fresh.trace_.proba)


def test_refit_on_texts_forgets_the_number_of_features():
    texts = ["a good day", "a bad day"] * 20
    cascade = small_large().fit(pd.DataFrame(X, columns=list("abcdefgh")), Y)
    text = make_pipeline(TfidfVectorizer(), LogisticRegression())
    cascade.set_params(members=[("text", text)], cost=[1])
    cascade.fit(texts, [1, 0] * 20)
    assert not hasattr(cascade, "n_features_in_")
    assert not hasattr(cascade, "feature_names_in_")
    assert list(cascade.predict(["good", "bad"])) == [1, 0]


def test_fit_changes_neither_parameters_nor_members():
    cascade = MIXES["raw net"]()
    before, shown = cascade.get_params(deep=False), repr(cascade)
    members = list(cascade.members)
    cascade.fit(X, Y)
    assert cascade.get_params(deep=False) == before
    assert cascade.members == members
    assert repr(cascade) == shown
    assert not hasattr(cascade.members[0][1], "classes_")
    assert not hasattr(cascade.members[1][1], "module_")


def test_frozen_cascade():
    cascade = small_large().fit(X, Y)
    expected = cascade.predict_proba(X)
    frozen = FrozenEstimator(cascade).fit(X[:, :2], Y)
    assert np.array_equal(frozen.predict_proba(X), expected)
    outer = make_cascade(GaussianNB(), frozen, cost=[1, 2], random_state=0).fit(X, Y)
    assert np.array_equal(list(outer.staged_predict_proba(X))[1], expected)


def test_feature_names():
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    cascade = small_large().fit(frame, Y)
    assert list(cascade.feature_names_in_) == list("abcdefgh")
    assert np.array_equal(cascade.predict_proba(frame), small_large().fit(X, Y).predict_proba(X))
    with pytest.raises(ValueError, match="feature names should match"):
        cascade.predict(frame[list("bacdefgh")])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        cascade.predict(X)


# Callbacks --------------------------------------------------------------------------------


class Recording:
    """A scikit-learn FitCallback that notes the tasks it is told of."""

    def __init__(self):
        self.tasks = []

    def setup(self, estimator, context):
        self.tasks.append("setup")

    def on_fit_task_begin(self, estimator, context):
        self.tasks.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context):
        self.tasks.append(f"end {context.task_name}")

    def teardown(self, estimator, context):
        self.tasks.append("teardown")


@pytest.mark.parametrize(("cv", "n_times"), [(0.2, 1), (3, 4)])
def test_callbacks_see_one_task_per_member(cv, n_times):
    pytest.importorskip("sklearn.callback")
    recording = Recording()
    cascade = make_cascade(LogisticRegression(), GaussianNB(), cv=cv)
    cascade.set_callbacks(recording).fit(X, Y)
    members = [
        f"{when} fit-{name}"
        for name in ("logisticregression", "gaussiannb")
        for when in ("begin", "end")
    ]
    assert recording.tasks == ["setup", "begin fit", *members * n_times, "end fit", "teardown"]


def test_callbacks_end_when_fit_fails():
    pytest.importorskip("sklearn.callback")
    recording = Recording()
    cascade = make_cascade(Failing(), cost=[1]).set_callbacks(recording)
    with pytest.raises(RuntimeError, match="on purpose"):
        cascade.fit(X, Y)
    assert recording.tasks[-1] == "teardown"


class Failing(GaussianNB):
    def fit(self, X, y):
        raise RuntimeError("on purpose")


FALLBACK = """
import pickle
import sys
import sklearn.calibration, sklearn.cluster, sklearn.compose, sklearn.ensemble
import sklearn.linear_model, sklearn.model_selection, sklearn.neural_network, sklearn.pipeline
import sklearn.feature_selection, sklearn.semi_supervised, sklearn.gaussian_process
real = sys.modules.get("sklearn.callback")
sys.modules["sklearn.callback"] = None
import skcascade
import skcascade.utils._sklearn as private
sys.modules["sklearn.callback"] = real
if real is None:
    del sys.modules["sklearn.callback"]
assert private.CallbackSupportMixin.__module__ == "skcascade.utils._sklearn"
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
X, y = load_iris(return_X_y=True)
members = LogisticRegression(max_iter=1000), GaussianNB()
cascade = skcascade.make_cascade(*members, cv=3, random_state=0)
assert not hasattr(cascade, "set_callbacks")
pickle.dumps(cascade._init_callback_context())  # joblib sends it to workers
print(cascade.fit(X, y).score(X, y) > 0.9)
"""


def test_without_callbacks_in_scikit_learn():
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", FALLBACK], capture_output=True, text=True
    )
    assert result.stderr == ""
    assert result.stdout == "True\n"


# Metadata ---------------------------------------------------------------------------------

ROWS = np.arange(len(Y))
SPLIT = [(ROWS[::2], ROWS[1::2])]
WEIGHT = np.random.default_rng(0).uniform(0.5, 2, len(Y))


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_weights_without_routing_reach_those_that_take_them():
    cascade = make_cascade(
        Weighed(), KNeighborsClassifier(), policy=WeighedPolicy(), cv=SPLIT, cost=[1, 3]
    )
    with pytest.warns(CascadeWarning, match="'kneighborsclassifier' .*cannot take `sample_weight`"):
        cascade.fit(X, Y, sample_weight=WEIGHT)
    assert np.array_equal(cascade.members_.weighed.weight_, WEIGHT[::2])
    # The policy sees its rows in another order.
    assert np.array_equal(np.sort(cascade.policy_.weight_), np.sort(WEIGHT[1::2]))
    assert cascade.fit(X, Y).members_.weighed.weight_ is None


def test_other_metadata_without_routing_is_refused():
    with pytest.raises(ValueError, match="only supported if enable_metadata_routing=True"):
        small_large().fit(X, Y, groups=WEIGHT)


def test_weights_go_where_they_are_requested(routing):
    members = [
        ("asks", Weighed().set_fit_request(sample_weight=True)),
        ("declines", Weighed().set_fit_request(sample_weight=False)),
    ]
    policy = WeighedPolicy().set_fit_request(sample_weight=True)
    cascade = CascadeClassifier(members, policy=policy, cv=SPLIT, cost=[1, 3])
    cascade.fit(X, Y, sample_weight=WEIGHT)
    assert np.array_equal(cascade.members_.asks.weight_, WEIGHT[::2])
    assert cascade.members_.declines.weight_ is None
    assert np.array_equal(np.sort(cascade.policy_.weight_), np.sort(WEIGHT[1::2]))
    # The policy may decline as well.
    cascade.policy.set_fit_request(sample_weight=False)
    cascade.fit(X, Y, sample_weight=WEIGHT)
    assert np.array_equal(cascade.policy_.weight_, np.ones(len(Y) // 2))


def test_weights_may_have_another_name(routing):
    members = [("renames", Weighed().set_fit_request(sample_weight="importance"))]
    cascade = CascadeClassifier(members, cv=SPLIT).fit(X, Y, importance=WEIGHT)
    assert np.array_equal(cascade.members_.renames.weight_, WEIGHT[::2])
    assert cascade.tuning_.sample_weight is None


def test_weights_without_a_request_are_an_error(routing):
    with pytest.raises(ValueError, match=r"\[sample_weight\] are passed but are not explicitly"):
        make_cascade(Weighed(), cv=SPLIT).fit(X, Y, sample_weight=WEIGHT)


def test_weights_for_the_policy_over_default_members(routing):
    policy = WeighedPolicy().set_fit_request(sample_weight=True)
    cascade = CascadeClassifier(policy=policy, cv=SPLIT).fit(X, Y, sample_weight=WEIGHT)
    assert np.array_equal(np.sort(cascade.policy_.weight_), np.sort(WEIGHT[1::2]))


def test_cascade_is_routed_to(routing):
    members = [("asks", Weighed().set_fit_request(sample_weight=True))]
    policy = ConfidenceThreshold().set_fit_request(sample_weight=True)
    cascade = CascadeClassifier(members, policy=policy, random_state=0)
    cascade.set_score_request(sample_weight=True)
    search = GridSearchCV(cascade, {"alpha": [0.1]}, cv=2).fit(X, Y, sample_weight=WEIGHT)
    assert search.best_estimator_.members_.asks.weight_ is not None
