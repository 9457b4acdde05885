"""The short way to a cascade."""

from sklearn.naive_bayes import GaussianNB
from torch import nn

from skcascade import CascadeClassifier, make_cascade


def test_members_are_named_by_type(logits):
    cascade = make_cascade(GaussianNB(), nn.Linear(8, 3), logits, GaussianNB(), alpha=0.5)
    assert [name for name, _ in cascade.members] == [
        "gaussiannb-1",
        "linear",
        "logits",
        "gaussiannb-2",
    ]
    assert cascade.alpha == 0.5


def test_members_and_parameters_are_stored_as_given(logits):
    member, cost = GaussianNB(), [1, 2]
    cascade = make_cascade(member, logits, cost=cost, cv=3)
    assert type(cascade) is CascadeClassifier
    assert [estimator for _, estimator in cascade.members] == [member, logits]
    assert cascade.cost is cost
    assert cascade.cv == 3
