"""Cost models: what is counted is compared with sums done by hand."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import RFE, SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import (
    BernoulliNB,
    CategoricalNB,
    ComplementNB,
    GaussianNB,
    MultinomialNB,
)
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.random_projection import SparseRandomProjection
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skcascade._stages import Held, Stages
from skcascade.costs import BaseCostModel, FixedCost, LatencyCost, MacsCost, _latency
from skcascade.costs._counts import count_macs, few_rows
from skcascade.costs._fixed import check_cost
from skcascade.costs._latency import fit_affine
from skcascade.exceptions import UncountableError

N, P, C = 60, 6, 3
X, y = make_classification(
    N, P, n_informative=5, n_redundant=0, n_classes=C, class_sep=0.5, random_state=0
)
X_SPARSE = csr_array(np.where(X > 0.5, X, 0))
TEXTS = ["a cat sat", "the dog", "birds fly over the sea"]
LOGREG = P * C


class Member:
    """The smallest adapter of an independent member."""

    n_exits = 1

    def __init__(self, estimator):
        self.estimator = estimator
        self.labels = estimator.classes_

    def step(self, exit, X, held):
        return self.estimator.predict_proba(X), None


def stages_of(*estimators, classes=range(C)):
    members = [(f"m{i}", Member(estimator)) for i, estimator in enumerate(estimators)]
    return Stages(members, list(classes))


def logreg():
    return LogisticRegression(max_iter=50)


def shallow(**kwargs):
    return DecisionTreeClassifier(max_depth=4, random_state=0, **kwargs)


def comparisons(tree, X):
    """Mean number of inner nodes that rows of `X` pass, by the public `decision_path`."""
    return tree.decision_path(X).sum(axis=1).mean() - 1


# Prices -----------------------------------------------------------------------------------


@st.composite
def edges_and_paths(draw):
    n = draw(st.integers(1, 6))
    rows = draw(st.integers(0, 8))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    return rng.uniform(0.1, 9, (n, n)), rng.random((rows, n)) < 0.6


@given(edges_and_paths())
@settings(max_examples=60, deadline=None)
def test_path_cost_is_sum_of_edges(case):
    edges, visited = case
    paid = FixedCost(edges).fit(len(edges)).path_cost(visited)
    for row, price in zip(visited, paid):
        path = np.flatnonzero(row)
        steps = zip([-1, *path[:-1]], path)
        assert price == pytest.approx(sum(edges[j + 1, k] for j, k in steps))


def test_fixed_cost_one_price_a_stage():
    cost = FixedCost([1, 4]).fit(2)
    np.testing.assert_array_equal(cost.edge_costs_, [[1, 4], [np.nan, 4]])
    np.testing.assert_array_equal(cost.relative(np.array([1, 5])), [0.25, 1.25])
    assert FixedCost([1], unit="cents").unit == "cents"


@pytest.mark.parametrize(
    "costs, message",
    [
        ([1, 2, 3], "each of the 2 stages"),
        ([[1, 2]], "each of the 2 stages"),
        ([-1, 2], "0 or more"),
        ([np.nan, 2], "finite"),
        ([np.inf, 2], "finite"),
        ([1, 0], "more than 0"),
    ],
)
def test_fixed_cost_refuses(costs, message):
    with pytest.raises(ValueError, match=message):
        FixedCost(costs).fit(2)


def test_fixed_cost_ignores_what_lies_backward():
    assert np.isnan(FixedCost([[1, 2], [np.nan, 1]]).fit(2).edge_costs_[1, 0])


def test_check_cost_takes_models_and_prices():
    model = MacsCost()
    assert check_cost(model) is model
    assert check_cost([1, 2]).costs == [1, 2]


def test_base_cost_model_says_what_to_override():
    with pytest.raises(NotImplementedError, match="measure"):
        BaseCostModel().fit(stages_of(logreg().fit(X, y)), X)


# Counting scikit-learn --------------------------------------------------------------------

CLOSED_FORMS = [
    (logreg(), P * C),
    (LogisticRegressionCV(Cs=2, cv=2, max_iter=20), P * C),
    (SGDClassifier(loss="log_loss", random_state=0), P * C),
    (LinearDiscriminantAnalysis(), P * C),
    (QuadraticDiscriminantAnalysis(), C * P * (P + 1)),
    (GaussianNB(), 2 * C * P),
    (BernoulliNB(), C * P + P),
    (BernoulliNB(binarize=None), C * P),
    (NearestCentroid(), C * P),
    (MLPClassifier((7, 5), max_iter=2), P * 7 + 7 * 5 + 5 * C),
    (KNeighborsClassifier(), N * P),
    (DummyClassifier(), 0),
    (GaussianProcessClassifier(optimizer=None), C * N * (P + N)),
    (OneVsRestClassifier(logreg()), C * P),
    (CalibratedClassifierCV(logreg(), cv=2), 2 * (LOGREG + C)),
    (VotingClassifier([("a", logreg()), ("b", GaussianNB())]), LOGREG + C + 2 * C * P + C),
    (BaggingClassifier(logreg(), 4, max_features=0.5, random_state=0), 4 * (3 * C + C)),
    (AdaBoostClassifier(logreg(), n_estimators=1), LOGREG + C),
    (StackingClassifier([("a", logreg()), ("b", logreg())], logreg(), cv=2), 3 * LOGREG),
    (GridSearchCV(logreg(), {"C": [1.0]}, cv=2), LOGREG),
    (RFE(logreg(), n_features_to_select=2), 2 * C),
    (make_pipeline("passthrough", StandardScaler(), PCA(2), logreg()), P + 2 * P + 2 * C),
    (make_pipeline(SimpleImputer(), SelectKBest(k=2), logreg()), P + 2 * C),
    (make_pipeline(RFE(logreg(), n_features_to_select=2), logreg()), 2 * C),
    (make_pipeline(PolynomialFeatures(2), TruncatedSVD(3), logreg()), 28 + 3 * 28 + 3 * C),
    (
        make_pipeline(Normalizer(), QuantileTransformer(n_quantiles=8), logreg()),
        2 * P + 3 * P + LOGREG,
    ),
    (make_pipeline(FunctionTransformer(), FunctionTransformer(np.abs), logreg()), P + LOGREG),
    (make_pipeline(Nystroem(n_components=5), logreg()), 5 * (P + 5) + 5 * C),
    (make_pipeline(RBFSampler(n_components=5), logreg()), 5 * P + 5 * C),
    (make_pipeline(FeatureUnion([("p", PCA(2)), ("id", "passthrough")]), logreg()), 2 * P + 8 * C),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "estimator, expected", CLOSED_FORMS, ids=[str(i) for i in range(len(CLOSED_FORMS))]
)
def test_count_equals_formula(estimator, expected):
    cost = MacsCost().fit(stages_of(estimator.fit(X, y), logreg().fit(X, y)), X)
    np.testing.assert_allclose(cost.edge_costs_, [[expected, LOGREG], [np.nan, LOGREG]])
    assert cost.unit == "MACs"


@pytest.mark.parametrize("estimator", [MultinomialNB(), ComplementNB(), CategoricalNB()])
def test_count_discrete_bayes(estimator):
    codes = np.digitize(X, [-1, 0, 1])
    assert MacsCost.count(estimator.fit(codes, y), codes) == C * P


def test_count_binary_has_one_row_of_coefficients():
    assert MacsCost.count(logreg().fit(X, y == 1), X) == P
    assert MacsCost.count(FixedThresholdClassifier(logreg()).fit(X, y == 1), X) == P


def test_count_svc():
    svc = SVC().fit(X, y)
    assert MacsCost.count(svc, X) == svc.n_support_.sum() * (P + C - 1)


@pytest.mark.parametrize(
    "estimator, per_row",
    [(KNeighborsClassifier(metric="precomputed"), None), (SVC(kernel="precomputed"), C - 1)],
)
def test_count_precomputed_distances_are_free(estimator, per_row):
    kernel = X @ X.T + 100
    estimator.fit(kernel, y)
    expected = N if per_row is None else len(estimator.support_) * per_row
    assert MacsCost.count(estimator, kernel) == expected


def test_count_tree_equals_decision_path():
    tree = DecisionTreeClassifier(random_state=0).fit(X, y)
    assert MacsCost.count(tree, X) == pytest.approx(comparisons(tree, X))
    assert MacsCost.count(DecisionTreeClassifier(max_depth=1).fit(X, y), X) == 1
    assert MacsCost.count(DecisionTreeClassifier().fit(X, y * 0), X) == 0


@pytest.mark.parametrize("forest", [RandomForestClassifier, ExtraTreesClassifier])
def test_count_forest(forest):
    forest = forest(5, bootstrap=False, random_state=0).fit(X, y)
    expected = sum(comparisons(tree, X) + C for tree in forest.estimators_)
    assert MacsCost.count(forest, X) == pytest.approx(expected)


@pytest.mark.parametrize("init, extra", [(None, 0), ("zero", 0), (GaussianNB(), 2 * P * C)])
def test_count_gradient_boosting(init, extra):
    boosting = GradientBoostingClassifier(n_estimators=4, init=init).fit(X, y)
    expected = sum(comparisons(tree, X) + 1 for tree in boosting.estimators_.ravel())
    assert MacsCost.count(boosting, X) == pytest.approx(expected + extra)


def steps_down(nodes, row):
    """Comparisons on the way of one row, node by node."""
    node, steps = nodes[0], 0
    while not node["is_leaf"]:
        side = "left" if row[node["feature_idx"]] <= node["num_threshold"] else "right"
        node, steps = nodes[node[side]], steps + 1
    return steps


def test_count_hist_gradient_boosting():
    boosting = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=4).fit(X, y)
    nodes = [tree.nodes for trees in boosting._predictors for tree in trees]
    expected = sum(np.mean([steps_down(tree, row) for row in X]) + 1 for tree in nodes)
    assert MacsCost.count(boosting, X) == pytest.approx(expected)


def test_count_hist_gradient_boosting_without_private_trees():
    boosting = HistGradientBoostingClassifier(max_iter=1).fit(X, y)
    del boosting._predictors
    with pytest.raises(UncountableError, match="hides the trees"):
        MacsCost.count(boosting, X)


@pytest.mark.parametrize(
    "estimator, n_scores, rest",
    [(logreg(), C, 0), (MLPClassifier((7,), max_iter=2), 7, 7 * C), (KNeighborsClassifier(), N, 0)],
)
@pytest.mark.filterwarnings("ignore")
def test_count_sparse_rows_by_stored_entries(estimator, n_scores, rest):
    width = X_SPARSE.nnz / N
    assert MacsCost.count(estimator.fit(X_SPARSE, y), X_SPARSE) == pytest.approx(
        n_scores * width + rest
    )


@pytest.mark.parametrize(
    "vectorizer, per_token",
    [
        (CountVectorizer(token_pattern=r"\S+"), 1),
        (HashingVectorizer(token_pattern=r"\S+", n_features=2**20), 1),
        (TfidfVectorizer(token_pattern=r"\S+"), 2),
    ],
)
def test_count_text(vectorizer, per_token):
    pipeline = make_pipeline(vectorizer, logreg()).fit(TEXTS, [0, 1, 1])
    # 3, 2 and 5 tokens, all different within a text; one row of coefficients.
    assert MacsCost.count(pipeline, TEXTS) == pytest.approx((per_token + 1) * 10 / 3)


def test_count_dict_rows():
    rows = [{"a": 1.0}, {"a": 2.0, "b": 1.0}]
    assert count_macs(DictVectorizer().fit(rows), rows) == 1.5


def test_count_bins():
    assert count_macs(KBinsDiscretizer(4, strategy="uniform").fit(X), X) == 2 * P


def test_count_columns_of_a_frame():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": y, "text": ["one two"] * N, "z": y})
    columns = ColumnTransformer(
        [
            ("scale", StandardScaler(), ["a", "b"]),
            ("hot", OneHotEncoder(), ["c"]),
            ("words", CountVectorizer(), "text"),
            ("none", StandardScaler(), []),
            ("mask", StandardScaler(), [False] * 5),
            ("drop", "drop", ["z"]),
        ],
        sparse_threshold=0,
    )
    pipeline = make_pipeline(columns, logreg()).fit(frame, y)
    assert MacsCost.count(pipeline, frame) == 2 + 1 + 2 + (2 + 3 + 2) * C


def test_count_frozen_counts_what_is_frozen():
    tree = shallow().fit(X, y)
    assert MacsCost.count(FrozenEstimator(tree), X) == MacsCost.count(tree, X)
    edges = MacsCost().fit(stages_of(FrozenEstimator(logreg().fit(X, y))), X).edge_costs_
    assert edges.tolist() == [[LOGREG]]


def test_few_rows_are_spread():
    assert few_rows(np.arange(100), 3).tolist() == [0, 49, 99]
    assert few_rows([1, 2], 3) == [1, 2]


def test_count_sparse_projection_by_its_non_zeros():
    projection = SparseRandomProjection(4, random_state=0).fit(X)
    assert count_macs(projection, X) == projection.components_.nnz


# Registration -----------------------------------------------------------------------------


class Unknown(DummyClassifier):
    """Registered in one test, on a subclass."""


class Stranger:
    classes_ = [0, 1]


def test_unknown_type_says_what_to_do():
    with pytest.raises(UncountableError, match=r"Member 'm1': .*Stranger.*MacsCost.register"):
        MacsCost().fit(stages_of(logreg().fit(X, y == 1), Stranger(), classes=[0, 1]), X)
    with pytest.raises(UncountableError, match=r"Stranger.*cost=\[\.\.\.\].*LatencyCost"):
        MacsCost.count(make_pipeline(StandardScaler().fit(X), Stranger()), X)


def test_register_counts_type_and_subclasses():
    @MacsCost.register(Unknown)
    def count(estimator, X):
        return 10.0 * X.shape[1]

    class Child(Unknown):
        pass

    assert MacsCost.count(Child().fit(X, y), X) == 10 * P
    pipeline = make_pipeline(PCA(2), Unknown()).fit(X, y)
    assert MacsCost.count(pipeline, X) == 2 * P + 20
    assert count(None, X) == 10 * P  # the decorator hands the function back


def test_register_refuses_instances():
    with pytest.raises(TypeError, match="takes a type"):
        MacsCost.register(Unknown())


def test_last_stage_without_cost_is_an_error():
    dummy = DummyClassifier().fit(X, y)
    with pytest.raises(ValueError, match="last stage must cost more than 0"):
        MacsCost().fit(stages_of(logreg().fit(X, y), dummy), X)
    assert MacsCost().fit(stages_of(dummy, logreg().fit(X, y)), X).edge_costs_[0, 0] == 0


# Counting nets ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def skorch_net(torch, module):
    skorch = pytest.importorskip("skorch")
    net = skorch.NeuralNetClassifier(
        module, criterion=torch.nn.CrossEntropyLoss, max_epochs=1, train_split=None, verbose=0
    )
    return net.set_params(classes=list(range(C)))


def hidden_layer(torch):
    layers = torch.nn.Linear(P, 5), torch.nn.ReLU(), torch.nn.Linear(5, C)
    return torch.nn.Sequential(*layers)


NET = P * 5 + 5 * C


@pytest.mark.parametrize("wrap", [lambda net: net, FrozenEstimator])
def test_count_bare_skorch_net(torch, wrap):
    net = skorch_net(torch, hidden_layer(torch)).initialize()
    rows = X.astype(np.float32)
    assert MacsCost().fit(stages_of(wrap(net)), rows).edge_costs_.tolist() == [[NET]]
    assert MacsCost.count(wrap(net), rows[:3]) == NET


def test_count_convolution(torch):
    layers = torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4 * 6 * 6, C)
    net = skorch_net(torch, torch.nn.Sequential(*layers)).initialize()
    images = np.zeros((20, 3, 8, 8), dtype=np.float32)
    assert MacsCost.count(net, images) == 36 * 4 * 27 + 144 * C


def test_count_fused_layers(torch):
    """At inference torch runs these as one operation, which its counter does not know."""

    class Recurrent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(4, 8, batch_first=True)
            layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.transformer = torch.nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
            self.head = torch.nn.Linear(8, C)

        def forward(self, x):
            return self.head(self.transformer(self.lstm(x)[0])[:, 0])

    steps = 5
    lstm = steps * 4 * 8 * (4 + 8)
    projections = steps * (4 * 8 * 8 + 2 * 8 * 16)
    attention = 2 * steps * steps * 8
    net = skorch_net(torch, Recurrent()).initialize()
    before = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    counted = MacsCost.count(net, np.zeros((20, steps, 4), dtype=np.float32))
    assert counted == lstm + projections + attention + 8 * C
    assert before == (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled)


def test_count_net_inside_other_estimators(torch):
    to_float = FunctionTransformer(np.float32)
    net = skorch_net(torch, hidden_layer(torch))
    pipeline = make_pipeline(StandardScaler(), to_float, net).fit(X, y)
    assert MacsCost.count(pipeline, X) == P + P + NET
    calibrated = CalibratedClassifierCV(make_pipeline(to_float, net), cv=2).fit(X, y)
    assert MacsCost.count(calibrated, X) == 2 * (P + NET + C)


def test_count_net_of_a_registered_type(torch):
    net = skorch_net(torch, hidden_layer(torch))

    class MyNet(type(net)):
        pass

    MacsCost.register(MyNet)(lambda estimator, X: 7.0)
    mine = MyNet(**net.get_params(deep=False)).initialize()
    assert MacsCost().fit(stages_of(mine), X).edge_costs_.tolist() == [[7]]


def test_net_that_counts_nothing_is_an_error(torch):
    net = skorch_net(torch, torch.nn.BatchNorm1d(C)).initialize()
    rows = np.full((20, C), 1 / C, dtype=np.float32)
    with pytest.raises(ValueError, match=r"Member 'm0' ran no operation.*cost=\[\.\.\.\]"):
        MacsCost().fit(stages_of(net), rows)
    with pytest.raises(ValueError, match="NeuralNetClassifier ran no operation"):
        MacsCost.count(net, rows)


def test_exits_of_one_net_pay_for_the_trunk_once(torch):
    class TwoExits:
        """Exit 1 goes on from the trunk of exit 0, and skips its head."""

        n_exits = 2
        labels = range(C)

        def __init__(self):
            linear = torch.nn.Linear
            self.trunks = [linear(P, 8), linear(8, 9)]
            self.heads = [linear(8, C), linear(9, C)]
            self.estimator = SimpleNamespace(module_=torch.nn.ModuleList(self.trunks + self.heads))

        @torch.no_grad()
        def step(self, exit, X, held):
            state = torch.as_tensor(X, dtype=torch.float32) if held is None else held.state
            for trunk in self.trunks[0 if held is None else held.exit + 1 : exit + 1]:
                state = trunk(state)
            return self.heads[exit](state).softmax(1).numpy(), state

    cost = MacsCost().fit(Stages([("net", TwoExits())], range(C)), X)
    first, second = P * 8, 8 * 9
    np.testing.assert_array_equal(
        cost.edge_costs_,
        [[first + 8 * C, first + second + 9 * C], [np.nan, second + 9 * C]],
    )


def test_torch_is_not_imported_without_nets():
    code = (
        "import sys; from sklearn.dummy import DummyClassifier as D;"
        "from sklearn.tree import DecisionTreeClassifier as T;"
        "from skcascade.costs import MacsCost, LatencyCost; X = [[0], [1]];"
        "MacsCost.count(T().fit(X, [0, 1]), X); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# Latency ----------------------------------------------------------------------------------


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(_latency, "perf_counter", clock)
    return clock


class Timed:
    """Takes as long as it says on a fake clock; at exit 1 less if it can go on."""

    labels = range(C)

    def __init__(self, clock, fixed, slope, n_exits=1, hiccup_every=None):
        self.clock, self.fixed, self.slope, self.n_exits = clock, fixed, slope, n_exits
        self.hiccup_every = hiccup_every
        self.sizes = []

    def step(self, exit, X, held):
        n = X.shape[0]
        share = 1 if held is None else 0.25
        self.clock.now += share * (exit + 1) * (self.fixed + self.slope * n)
        self.sizes.append(n)
        if self.hiccup_every and len(self.sizes) % self.hiccup_every == 0:
            self.clock.now += 1000
        return np.full((n, C), 1 / C), np.zeros(n) if self.n_exits > 1 else None


def test_latency_is_fixed_and_slope(clock):
    cheap, dear = Timed(clock, 0.01, 0.001), Timed(clock, 0.002, 0.05)
    stages = Stages([("cheap", cheap), ("dear", dear)], range(C))
    cost = LatencyCost(batch_size=10).fit(stages, X)
    np.testing.assert_allclose(cost.fixed_, [[0.01, 0.002], [np.nan, 0.002]])
    np.testing.assert_allclose(cost.slope_, [[0.001, 0.05], [np.nan, 0.05]])
    np.testing.assert_allclose(cost.edge_costs_[0], [0.002, 0.0502])
    assert cost.unit == "seconds"
    # One call warms up, five count; 60 rows are repeated to make 64 and 256.
    assert cheap.sizes == [1] * 6 + [8] * 6 + [64] * 6 + [256] * 6


def test_latency_between_exits(clock):
    stages = Stages([("net", Timed(clock, 0.01, 0.001, n_exits=2))], range(C))
    cost = LatencyCost().fit(stages, X)
    np.testing.assert_allclose(cost.fixed_, [[0.01, 0.02], [np.nan, 0.005]])
    np.testing.assert_allclose(cost.slope_, [[0.001, 0.002], [np.nan, 0.0005]])
    np.testing.assert_allclose(cost.edge_costs_, cost.fixed_ + cost.slope_)


def test_latency_shrugs_off_hiccups(clock):
    member = Timed(clock, 0.01, 0.001, hiccup_every=3)
    cost = LatencyCost().fit(Stages([("m", member)], range(C)), X)
    np.testing.assert_allclose([cost.fixed_[0, 0], cost.slope_[0, 0]], [0.01, 0.001])


def test_latency_measure_alone_needs_no_fit(clock):
    call = Stages([("m", Timed(clock, 0.01, 0.001))], range(C)).call(None, 0, X)
    assert LatencyCost(batch_size=2, sizes=(2, 4)).measure(call) == pytest.approx(0.006)


@pytest.mark.parametrize("kind", ["frame", "sparse"])
def test_latency_takes_rows_of_any_kind(clock, kind):
    rows = X_SPARSE if kind == "sparse" else pytest.importorskip("pandas").DataFrame(X[:3])
    cost = LatencyCost(n_repeats=1).fit(Stages([("m", Timed(clock, 1, 2))], range(C)), rows)
    assert cost.edge_costs_[0, 0] == pytest.approx(3)


def test_latency_waits_for_the_device(clock, monkeypatch):
    waits = []
    cuda = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: True,
        synchronize=lambda: waits.append(clock.now),
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    stages = Stages([("m", Timed(clock, 1, 1))], range(C))
    LatencyCost(n_repeats=2, sizes=(1, 2)).fit(stages, X)
    # Calls take 2 and 3 seconds: before and after each of the timed ones.
    assert waits == [2, 4, 4, 6, 9, 12, 12, 15]


@pytest.mark.parametrize(
    "parameters", [{"batch_size": 0}, {"n_repeats": 0}, {"sizes": (4, 4)}, {"sizes": (0, 4)}]
)
def test_latency_refuses(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        LatencyCost(**parameters).fit(stages_of(logreg().fit(X, y)), X)


@given(st.floats(0, 1), st.floats(1e-6, 1), st.lists(st.floats(0.9, 1.1), min_size=4, max_size=4))
@settings(max_examples=60, deadline=None)
def test_affine_fit_is_close_and_never_negative(fixed, slope, noise):
    sizes = np.array([1, 8, 64, 256])
    clean = fixed + slope * sizes
    found = np.array(fit_affine(sizes, clean * noise))
    assert (found >= 0).all()
    np.testing.assert_allclose(found[0] + found[1] * sizes, clean, rtol=0.25)
    np.testing.assert_allclose(fit_affine(sizes, clean), [fixed, slope], rtol=1e-6, atol=1e-9)


def test_affine_fit_of_no_time():
    assert fit_affine([1, 2], [0, 0]) == (0, 0)


def test_calls_over_other_rows_hold_their_own_state(clock):
    call = Stages([("net", Timed(clock, 1, 1, n_exits=2))], range(C)).call(0, 1, X)
    assert isinstance(call.held, Held)
    assert len(call.on(X[:5]).held.state) == 5
