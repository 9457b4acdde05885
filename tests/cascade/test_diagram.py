"""A cascade as a diagram."""

from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from torch import nn

from skcascade import CascadeClassifier, make_cascade
from skcascade.policies import ConfidenceThreshold

X, Y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
MEMBERS = [("small", GaussianNB()), ("large", LogisticRegression())]


def test_diagram_before_and_after_fit():
    policy = ConfidenceThreshold(tuning="per_stage")
    cascade = CascadeClassifier(MEMBERS, policy=policy, cost=[1, 4], random_state=0)
    html = cascade._repr_html_()
    assert html.index("small") < html.index("GaussianNB") < html.index("large")
    assert html.index("LogisticRegression", html.index("GaussianNB")) < html.rindex("policy")
    assert "ConfidenceThreshold" in html[html.rindex("LogisticRegression") :]
    assert "of the cost" not in html
    html = cascade.fit(X, Y)._repr_html_()
    assert html.index("small: 25.0% of the cost") < html.index("large: 100.0% of the cost")
    assert html.index("large: 100.0% of the cost") < html.rindex("ConfidenceThreshold")


def test_diagram_of_defaults_and_of_modules(logits):
    html = CascadeClassifier()._repr_html_()
    assert "three torch nets of growing size" in html
    assert "ConfidenceThreshold" in html
    html = make_cascade(nn.Linear(8, 3), logits)._repr_html_()
    assert html.index("in_features=8") < html.index("tests.cascade.conftest.Logits")


def test_diagram_of_a_cascade_that_rejects():
    cascade = CascadeClassifier(MEMBERS, cost=[1, 4], reject_cost=0.2, random_state=0)
    html = cascade.fit(X, Y)._repr_html_()
    assert html.index("small: 25.0% of the cost") < html.index("large: 100.0% of the cost")
    assert html.count("of the cost") == 2
