"""From data to evidence: members on folds, costs, fine-tuning, several processes, messages."""

import copy
import logging
import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skcascade import CascadeClassifier, make_cascade
from skcascade.costs import FixedCost, LatencyCost
from skcascade.evidence import Stages
from skcascade.exceptions import CascadeWarning
from skcascade.members import TorchClassifier
from skcascade.members._adapters import is_local_net
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
NAMES = np.array(["ash", "oak", "yew"])[Y]
ROWS = np.arange(len(Y))
SPLIT = [(ROWS[:200], ROWS[200:])]
THREE_FOLDS = [(ROWS[ROWS % 3 != i], ROWS[ROWS % 3 == i]) for i in range(3)]


# Where the held-out answers come from -----------------------------------------------------


@pytest.mark.parametrize("cv", [THREE_FOLDS, KFold(3), 3], ids=["list", "KFold", "int"])
def test_folds_give_answers_out_of_fold_and_members_fitted_on_everything(cv):
    cascade = make_cascade(LogisticRegression(), GaussianNB(), cv=cv).fit(X, NAMES)
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
def test_after_one_split_members_stay_as_fitted_on_the_rest(cv):
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


def test_prefit_fits_no_member(raw_net, torch_member):
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


def test_frozen_member_next_to_others():
    frozen = GaussianNB().fit(X, NAMES)
    state = pickle.dumps(frozen)
    members = [("lr", LogisticRegression()), ("frozen", FrozenEstimator(frozen))]
    cascade = CascadeClassifier(members, cv=SPLIT).fit(X, NAMES)
    assert pickle.dumps(frozen) == state
    expected = LogisticRegression().fit(X[SPLIT[0][0]], NAMES[SPLIT[0][0]])
    assert np.array_equal(cascade.members_.lr.coef_, expected.coef_)


# Costs ------------------------------------------------------------------------------------


def test_default_cost_is_macs(torch_member, logits):
    cascade = make_cascade(LogisticRegression(), torch_member(logits), random_state=0).fit(X, Y)
    assert cascade.cost_.unit == "MACs"
    assert np.array_equal(cascade.cost_.edge_costs_[0], [3 * 8, 3 * 8])


def test_members_that_cannot_be_counted_cost_one_unit_each(recorded, sure_or_not):
    proba, y = sure_or_not()
    cascade = recorded(cost=None)
    with pytest.warns(CascadeWarning, match="one unit: .*Recorded.* Give `cost`"):
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


# Fine-tuning ------------------------------------------------------------------------------


def test_base_fine_tune_keeps_members_bit_equal(torch_member):
    cascade = make_cascade(GaussianNB(), torch_member(), random_state=0).fit(X, Y)
    stages, before = cascade.stages_, cascade.predict_proba(X)
    weights = copy.deepcopy(cascade.members_.torchclassifier.module_.state_dict())
    policy = ConfidenceThreshold()
    assert policy.fine_tune(stages, X, Y, None, None, cascade.cost_, None) is stages
    for name, value in cascade.members_.torchclassifier.module_.state_dict().items():
        assert torch.equal(value, weights[name])
    assert np.array_equal(cascade.predict_proba(X), before)
    member = TorchClassifier(max_epochs=3, random_state=1).fit(X, Y)
    alone = make_cascade(member, cv="prefit").fit(X, Y)
    assert np.array_equal(alone.predict_proba(X), member.predict_proba(X))


class Seen(GaussianNB):
    """Knows which rows it was fitted on: the first column of X."""

    def fit(self, X, y):
        self.rows_ = X[:, 0].astype(int)
        return super().fit(X, y)


class Replacing(BaseExitPolicy):
    """Replaces the fitted members by one that answers with the row's share of 1,000."""

    validation_fraction = 0.25

    def exit_mask(self, stage, proba):
        return proba[:, stage].max(axis=1) >= 0.9

    def fine_tune(self, stages, X, y, X_val, y_val, cost, target):
        calls.append((stages.members, X[:, 0], y, X_val[:, 0], y_val, target.alpha))
        return Stages([("one", Sharer())], stages.classes)


class Sharer:
    n_exits, labels = 1, None

    def step(self, exit, X, cached):
        share = X[:, 0] / 1000
        return np.stack([share, 1 - share, 0 * share], axis=1), None


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


def test_validation_rows_of_a_class_that_is_too_rare():
    y = np.repeat([0, 1, 2], [197, 102, 1])
    cascade = make_cascade(GaussianNB(), policy=Replacing(), cv=SPLIT, cost=[1], random_state=0)
    rows = np.r_[299, 0:299]
    with pytest.raises(ValueError, match="`validation_fraction`=0.25 cannot keep rows of all"):
        cascade.fit(X, y[rows])


# Several processes ------------------------------------------------------------------------


def several(cv):
    members = [
        ("tree", DecisionTreeClassifier(max_depth=3, max_features=1)),
        ("torch", TorchClassifier(max_epochs=3)),
        ("forest", make_pipeline(StandardScaler(), RandomForestClassifier(5))),
    ]
    return CascadeClassifier(members, cost=[1, 2, 3], cv=cv, random_state=0)


@pytest.mark.parametrize("cv", [0.2, 3])
def test_n_jobs_changes_nothing(cv):
    # Not the raw net: workers may not be able to import the file of its module.
    serial = several(cv).fit(X, Y)
    with joblib.parallel_config("loky"):
        parallel = clone(serial).set_params(n_jobs=2).fit(X, Y)
    assert np.array_equal(serial.trace_.proba, parallel.trace_.proba)
    assert np.array_equal(serial.predict_proba(X), parallel.predict_proba(X))


def test_threads_fit_too():
    serial = make_cascade(LogisticRegression(), GaussianNB(), cv=2).fit(X, Y)
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


def test_net_of_the_main_script_in_parallel(tmp_path, run_python):
    script = tmp_path / "script.py"
    script.write_text(LOCAL_NET)
    lines = run_python(str(script))
    assert lines[0].startswith("Member 'neuralnetclassifier' has a torch module whose class is")
    assert lines[0].endswith("Move the class to a module that can be imported, or set n_jobs=None.")
    assert lines[1:] == ["fitted", "(150, 3)", "fitted", "(150, 3)"]


class Local(nn.Linear):
    """As if it were defined in a script or notebook."""

    def __init__(self, n_features=8, n_classes=3):
        super().__init__(n_features, n_classes)


Local.__module__ = "__main__"


@pytest.mark.parametrize(
    "make",
    [
        lambda net: net(Local),
        lambda net: make_pipeline(FunctionTransformer(np.float32), net(Local)),
        lambda net: CalibratedClassifierCV(net(Local)),
        lambda net: FrozenEstimator(net(Local).initialize()),
        lambda net: TorchClassifier(Local),
        lambda net: Local,
        lambda net: Local(),
        lambda net: nn.Sequential(nn.Flatten(), Local()),
        lambda net: make_cascade(Local()),
    ],
)
def test_local_nets_are_found_before_anything_is_fitted(make, tmp_path, raw_net, counted, n_fits):
    log = tmp_path / "log"
    cascade = CascadeClassifier([("counted", counted(log)), ("net", make(raw_net))], n_jobs=2)
    with (
        joblib.parallel_config("loky"),
        pytest.raises(ValueError, match="'net' has a torch module .*`__main__`.*n_jobs=None"),
    ):
        cascade.fit(X, Y)
    assert n_fits(log) == 0
    assert not is_local_net(GaussianNB())
    assert not is_local_net(raw_net())


# Messages ---------------------------------------------------------------------------------


TWO = [("small", LogisticRegression()), ("large", GaussianNB())]


def test_verbose_names_members(capsys):
    CascadeClassifier(TWO, cv=2).fit(X, Y)
    assert capsys.readouterr().out == ""
    CascadeClassifier(TWO, verbose=1).fit(X, Y)
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0] == "[CascadeClassifier] (1 of 2) Fitting small ..."
    assert lines[1].startswith("[CascadeClassifier] (1 of 2) small: 0.")
    assert lines[1].endswith(" s")
    assert lines[2] == "[CascadeClassifier] (2 of 2) Fitting large ..."
    assert len(lines) == 4
    assert printed.err == ""
    CascadeClassifier(TWO, cv=2, verbose=True).fit(X, Y)
    assert len(capsys.readouterr().out.splitlines()) == 2 * 6


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_the_logger_gets_what_is_printed(n_jobs, capsys, caplog):
    with joblib.parallel_config("threading"):
        CascadeClassifier(TWO, cv=3, verbose=1, n_jobs=n_jobs).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * 8
    assert {record.name for record in caplog.records} == {"skcascade"}
    assert {record.levelno for record in caplog.records} == {logging.INFO}
    logged = [f"[CascadeClassifier] {record.getMessage()}" for record in caplog.records]
    assert sorted(logged) == sorted(lines)
    if n_jobs is None:
        assert logged == lines
    starts = {line for line in lines if line.endswith("...")}
    tasks = [(n, ("small", "large")[(n - 1) % 2]) for n in range(1, 9)]
    assert starts == {f"[CascadeClassifier] ({n} of 8) Fitting {name} ..." for n, name in tasks}


def test_the_logger_works_without_verbose(capsys, caplog):
    with caplog.at_level(logging.INFO, logger="skcascade"):
        CascadeClassifier(TWO).fit(X, Y)
    assert capsys.readouterr().out == ""
    assert caplog.messages[0] == "(1 of 2) Fitting small ..."
    assert len(caplog.messages) == 4


def test_verbose_prints_also_where_the_logger_has_a_handler(capsys):
    class Kept(logging.Handler):
        def emit(self, record):
            messages.append(record.getMessage())

    messages, logger, handler = [], logging.getLogger("skcascade"), Kept()
    logger.addHandler(handler)
    try:
        CascadeClassifier(TWO, verbose=1).fit(X, Y)
    finally:
        logger.removeHandler(handler)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"[CascadeClassifier] {message}" for message in messages]
    assert len(lines) == 4


def test_verbose_leaves_the_logger_as_it_was():
    logger = logging.getLogger("skcascade")
    before = logger.level, list(logger.handlers), logger.propagate
    CascadeClassifier(TWO, verbose=1).fit(X, Y)
    with pytest.raises(ValueError, match="'large' answered"):
        CascadeClassifier([TWO[0], ("large", Broken())], verbose=1).fit(X, Y)
    assert (logger.level, logger.handlers, logger.propagate) == before


class Broken(GaussianNB):
    def predict_proba(self, X):
        return super().predict_proba(X) * np.nan


IN_PROCESSES = """
import logging
import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from skcascade import CascadeClassifier

class Kept(logging.Handler):
    def emit(self, record):
        messages.append(record.getMessage())

if __name__ == "__main__":
    X, y = load_iris(return_X_y=True)
    messages = []
    logging.getLogger().addHandler(Kept())
    logging.getLogger().setLevel(logging.WARNING)
    members = [("small", LogisticRegression(max_iter=1000)), ("large", GaussianNB())]
    with joblib.parallel_config("loky"):
        CascadeClassifier(members, verbose=1, n_jobs=2, random_state=0).fit(X, y)
    for message in messages:
        print("logged", message)
"""


@pytest.fixture(scope="module")
def lines_of_processes(tmp_path_factory, run_python):
    script = tmp_path_factory.mktemp("logging") / "script.py"
    script.write_text(IN_PROCESSES)
    return run_python(str(script))


def test_verbose_prints_from_other_processes(lines_of_processes):
    lines = [line for line in lines_of_processes if line.startswith("[CascadeClassifier] ")]
    starts = {line for line in lines if line.endswith("...")}
    assert starts == {
        "[CascadeClassifier] (1 of 2) Fitting small ...",
        "[CascadeClassifier] (2 of 2) Fitting large ...",
    }
    assert len(lines) == 4
