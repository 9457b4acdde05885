"""Every kind of samples and labels: arrays, frames, sparse, texts, tensors, dicts, images."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import coo_array, csr_array
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import indexable
from torch import nn

from skcascade import CascadeClassifier, make_cascade
from skcascade.costs import MacsCost
from skcascade.nets import CifarResNet

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
NAMES = np.array(["ash", "oak", "yew"])[Y]
ROWS = np.arange(len(Y))


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.numbers, self.tokens = nn.Linear(8, 3), nn.Embedding(4, 3)

    def forward(self, numbers, tokens):
        return (self.numbers(numbers) + self.tokens(tokens)).softmax(-1)


def mixed_frame():
    frame = pd.DataFrame(X[:, :4], columns=list("abcd"))
    frame["color"] = np.array(["red", "green", "blue"])[(Y + (ROWS % 5 == 0)) % 3]
    return frame


def columns(classifier):
    encode = [("number", StandardScaler(), list("abcd")), ("text", OneHotEncoder(), ["color"])]
    return make_pipeline(ColumnTransformer(encode, sparse_threshold=0), classifier)


def texts():
    words = np.array([["cheap", "fast", "loud"], ["rare", "slow", "calm"], ["plain", "odd", "new"]])
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(words[(y + (rng.uniform() < 0.2)) % 3], 4)) for y in Y]


def vectorized(classifier):
    return make_pipeline(TfidfVectorizer(), classifier)


def polars_frame():
    return pytest.importorskip("polars").DataFrame(X, schema=list("abcdefgh"))


#: Samples, and two members: an estimator, or the name of a fixture and its arguments.
INPUTS = {
    "ndarray": (lambda: X, GaussianNB(), LogisticRegression()),
    "list of lists": (lambda: X.tolist(), GaussianNB(), LogisticRegression()),
    "pandas": (lambda: pd.DataFrame(X).add_prefix("x"), GaussianNB(), ("torch_member", {})),
    "pandas, mixed": (mixed_frame, columns(GaussianNB()), columns(LogisticRegression())),
    "polars": (polars_frame, GaussianNB(), ("torch_member", {})),
    "polars, raw net": (polars_frame, GaussianNB(), ("raw_net", {})),
    "csr": (lambda: csr_array(np.abs(X)), MultinomialNB(), LogisticRegression()),
    "coo": (lambda: coo_array(np.abs(X)), MultinomialNB(), LogisticRegression()),
    "texts": (texts, vectorized(MultinomialNB()), vectorized(LogisticRegression())),
    "array of texts": (
        lambda: np.array(texts(), dtype=object),
        vectorized(MultinomialNB()),
        vectorized(LogisticRegression()),
    ),
    "tensor": (lambda: torch.from_numpy(X), ("torch_member", {}), ("raw_net", {})),
    "dict": (
        lambda: {"numbers": X, "tokens": (Y + (ROWS % 5 == 0)) % 4},
        ("raw_net", {"module": TwoInputs}),
        ("raw_net", {"module": TwoInputs, "max_epochs": 10}),
    ),
}


@pytest.fixture
def make(request):
    """Function that makes a member of an entry of `INPUTS`."""

    def make(member):
        if not isinstance(member, tuple):
            return member
        name, params = member
        return request.getfixturevalue(name)(**params)

    return make


@pytest.mark.parametrize("kind", INPUTS)
def test_kinds_of_x(kind, make):
    make_x, small, large = INPUTS[kind]
    data = make_x()
    members = [("small", make(small)), ("large", make(large))]
    cascade = CascadeClassifier(members, cost=[1, 3], alpha=0.05, random_state=0)
    cascade.fit(data, NAMES)
    whole = cascade.predict_proba(data)
    assert whole.shape == (300, 3)
    assert cascade.score(data, NAMES) > 0.4
    # In blocks, and with stages run on the rows that reach them: up to rounding.
    blocks = cascade.set_params(batch_size=77)
    assert np.allclose(blocks.predict_proba(data), whole, atol=1e-5)
    MacsCost().fit(cascade.stages_, indexable(data)[0])
    with_folds = clone(cascade).set_params(cv=2).fit(data, NAMES)
    assert with_folds.trace_.n_samples == 300


def images(n):
    y = np.arange(n) % 2
    X = np.random.default_rng(0).standard_normal((n, 1, 8, 8)).astype(np.float32)
    X[y == 1] += 1.0
    return X, y


def test_images(torch_member):
    X, y = images(120)
    members = [
        (name, torch_member(CifarResNet, module_params={"width": width}))
        for name, width in [("small", 2), ("large", 8)]
    ]
    cascade = CascadeClassifier(members, alpha=0.01, random_state=0).fit(X, y)
    assert cascade.n_features_in_ == 1
    assert cascade.cost_.unit == "MACs"
    assert cascade.score(X, y) > 0.8
    with pytest.raises(ValueError, match="shape"):
        cascade.predict(X[:, :, :4])


@pytest.mark.parametrize(
    "labels",
    [[5, 7, 100], [-1, 0, 1], ["b", "a", "c"], [1.0, 2.0, 3.0]],
    ids=["ints", "negative", "str", "float"],
)
def test_kinds_of_y(labels, raw_net, torch_member):
    y = np.array(labels)[Y]
    cascade = make_cascade(GaussianNB(), raw_net(), torch_member(), random_state=0).fit(X, y)
    assert list(cascade.classes_) == sorted(labels)
    assert cascade.predict(X).dtype == y.dtype
    assert cascade.score(X, y) > 0.5
    again = clone(cascade).fit(X, y.tolist())
    assert np.array_equal(again.predict(X), cascade.predict(X))


def test_boolean_y(torch_member):
    y = Y == 0
    cascade = make_cascade(GaussianNB(), torch_member(), random_state=0).fit(X, y)
    assert cascade.classes_.dtype == bool
    assert cascade.predict(X).dtype == bool
    assert cascade.score(X, y) > 0.6
