"""A torch module under scikit-learn's contract."""

import copy
import io
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from skcascade.members import TorchClassifier
from skcascade.nets import CifarResNet

X, Y = make_classification(200, 6, n_informative=4, n_classes=3, random_state=0)
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 120)
IMAGES = RNG.standard_normal((120, 3, 8, 8)).astype(np.float32)
IMAGES[np.arange(120), LABELS] += 1.0  # the class is the brightest channel


def quick(module=None, **params):
    return TorchClassifier(module, **{"max_epochs": 3, "random_state": 0, **params})


def tiny_resnet(**params):
    params = {"module_params": {"width": 4}, "max_epochs": 6, "lr": 0.02, **params}
    return quick(CifarResNet, **params)


@pytest.fixture(scope="module")
def fitted():
    return quick().fit(X, Y)


@parametrize_with_checks([TorchClassifier()])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


# --- what goes in -------------------------------------------------------------------


def test_string_labels_and_frames():
    names = np.array(["ash", "oak", "yew"])[Y]
    frame = pd.DataFrame(X, columns=list("abcdef"))
    clf = quick(max_epochs=20).fit(frame, pd.Series(names))
    assert list(clf.classes_) == ["ash", "oak", "yew"]
    assert list(clf.feature_names_in_) == list("abcdef")
    assert clf.score(frame, names) > 0.7
    with pytest.warns(UserWarning, match="valid feature names"):
        clf.predict_proba(X)
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(frame[list("bacdef")])


def test_every_kind_of_array_gives_the_same_answer(fitted):
    single = X.astype(np.float32)
    expected = fitted.predict_proba(single)
    read_only = single.copy()
    read_only.flags.writeable = False
    backwards = np.ascontiguousarray(single[:, ::-1])[:, ::-1]
    kinds = [X, X.tolist(), torch.from_numpy(X), np.asfortranarray(X), read_only, backwards]
    for kind in [*kinds, torch.from_numpy(single).requires_grad_()]:
        np.testing.assert_array_equal(fitted.predict_proba(kind), expected)
    assert quick().fit(torch.from_numpy(X), torch.from_numpy(Y)).score(X, Y) == fitted.score(X, Y)


def test_proba(fitted):
    proba = fitted.predict_proba(X)
    assert proba.shape == (200, 3)
    assert proba.dtype == np.float32
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(fitted.predict(X), proba.argmax(axis=1))


def test_a_row_does_not_depend_on_its_block(fitted, monkeypatch):
    whole = fitted.predict_proba(X)
    rows = np.vstack([fitted.predict_proba(X[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(rows, whole[:20], rtol=1e-4, atol=1e-6)
    monkeypatch.setattr("skcascade.members._torch._BLOCK_VALUES", 6)
    np.testing.assert_allclose(fitted.predict_proba(X), whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "auto", "bfloat16"])
def test_images(dtype):
    clf = tiny_resnet(dtype=dtype).fit(IMAGES, LABELS)
    assert clf.n_features_in_ == 3
    assert clf.sample_shape_ == (3, 8, 8)
    assert clf.score(IMAGES, LABELS) > 0.9
    one = clf.predict_proba(IMAGES[:1])
    np.testing.assert_allclose(one, clf.predict_proba(IMAGES)[:1], atol=0.02)


def test_bfloat16_agrees_with_float32():
    clf = tiny_resnet(dtype="float32").fit(IMAGES, LABELS)
    single = clf.predict_proba(IMAGES)
    clf.net_.bfloat16 = True
    half = clf.predict_proba(IMAGES)
    assert half.dtype == np.float32
    assert not np.array_equal(half, single)
    np.testing.assert_allclose(half, single, atol=0.03)


def test_auto_is_float32_in_two_dimensions(fitted):
    assert not fitted.net_.bfloat16


# --- modules ------------------------------------------------------------------------


def test_lazy_layers_and_images_flattened():
    assert quick(lambda n_classes: nn.LazyLinear(n_classes)).fit(X, Y).score(X, Y) > 0.3
    assert quick().fit(IMAGES, LABELS).module_.module[1].in_features == 3 * 8 * 8


def test_module_takes_raw_rows(fitted):
    logits = fitted.module_(torch.tensor(X, dtype=torch.float32))
    proba = torch.softmax(logits, dim=1).detach().numpy()
    np.testing.assert_allclose(proba, fitted.predict_proba(X), rtol=1e-4, atol=1e-6)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        fitted.module_(torch.zeros(1, 6))
    assert counter.get_total_flops() == 2 * (6 * 64 + 64 * 3)


def test_standardize_makes_scale_irrelevant():
    scaled = X * 1e4 + 1e5
    clf = quick(max_epochs=20).fit(scaled, Y)
    assert clf.score(scaled, Y) > 0.7


def test_fine_tuning_in_place(fitted):
    clf = copy.deepcopy(fitted)
    clf.module_.train()
    with torch.no_grad():
        clf.module_.module[-1].bias += torch.tensor([0.0, 50.0, 0.0])
    assert (clf.predict(X) == 1).all()
    assert not clf.module_.training
    assert not (fitted.predict(X) == 1).all()


# --- training -----------------------------------------------------------------------


def test_reproducible_and_global_generators_untouched():
    torch.manual_seed(3)
    np.random.seed(3)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = quick().fit(X, Y).predict_proba(X)
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])
    torch.rand(5)
    np.testing.assert_array_equal(quick().fit(X, Y).predict_proba(X), first)
    assert not np.array_equal(quick(random_state=1).fit(X, Y).predict_proba(X), first)


def test_grid_search():
    search = GridSearchCV(quick(max_epochs=5), {"lr": [1e-9, 1e-2]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"lr": 1e-2}


# --- saving -------------------------------------------------------------------------


def test_copies_predict_alike(fitted):
    stream = io.BytesIO()
    joblib.dump(fitted, stream)
    stream.seek(0)
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted), joblib.load(stream)):
        np.testing.assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))
        np.testing.assert_array_equal(other.net_.predict(X.astype(np.float32)), other.predict(X))
        assert other.net_.module_ is other.module_
    assert len(pickle.dumps(fitted)) < 30_000  # no training rows, no moments
    assert not hasattr(clone(fitted), "net_")


def test_other_processes(fitted):
    jobs = joblib.Parallel(n_jobs=2)(joblib.delayed(fitted.predict_proba)(X) for _ in range(2))
    for proba in jobs:
        np.testing.assert_allclose(proba, fitted.predict_proba(X), rtol=1e-5)


def test_torch_is_imported_on_first_use():
    code = (
        "import sys, skcascade.members as m; assert 'torch' not in sys.modules; "
        "assert 'TorchClassifier' in dir(m); m.TorchClassifier; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- errors -------------------------------------------------------------------------


def test_not_fitted():
    for method in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError):
            getattr(TorchClassifier(), method)(X)
    with pytest.raises(AttributeError):
        _ = TorchClassifier().module_


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"dtype": "float16"}, "'dtype' parameter"),
        ({"schedule": "linear"}, "'schedule' parameter"),
        ({"lr": 0.0}, "'lr' parameter"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(X, Y)


def test_bad_input(fitted):
    with pytest.raises(ValueError, match="one class"):
        quick().fit(X, np.zeros(200))
    with pytest.raises(ValueError, match="expecting 6 features"):
        fitted.predict(X[:, :5])
    with pytest.raises(ValueError, match="NaN"):
        fitted.predict(np.full((1, 6), np.nan))
    with pytest.raises(ValueError, match="infinity"):
        fitted.predict(np.array([[0, 0, 0, 0, 0, np.inf]]))
    with pytest.raises(ValueError, match=r"samples of shape \(6, 2\).*reshape `X`"):
        fitted.predict(np.zeros((4, 6, 2)))
    with pytest.raises(ValueError, match="0 sample"):
        fitted.predict(np.zeros((0, 6)))
    large = np.full((2, 6), 3e38, dtype=np.float32)  # finite, though the sum is not
    assert np.isfinite(fitted.module_.mean.numpy()).all()
    assert fitted._check_rows(large) is large
