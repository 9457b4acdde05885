"""The public checks pass for everything public, and fail for what breaks a promise."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from torch import nn

from skcascade.checks import check_cost_model, check_member, check_policy
from skcascade.costs import BaseCostModel, FixedCost, LatencyCost, MacsCost
from skcascade.members import TorchClassifier
from skcascade.policies import BaseExitPolicy, ConfidenceThreshold

POLICIES = [
    ConfidenceThreshold(),
    ConfidenceThreshold("margin"),
    ConfidenceThreshold("entropy"),
    ConfidenceThreshold(tuning="per_stage"),
    ConfidenceThreshold(tuning="per_stage", epsilon=0.02),
]


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_policies(policy):
    check_policy(policy)


@pytest.mark.parametrize(
    "cost", [MacsCost(), FixedCost([1, 5]), LatencyCost(n_repeats=1, sizes=(1, 8))], ids=repr
)
def test_cost_models(cost):
    check_cost_model(cost)


@pytest.mark.parametrize(
    "member",
    [LogisticRegression(), TorchClassifier(max_epochs=2), nn.Linear(6, 3)],
    ids=["scikit-learn", "TorchClassifier", "module"],
)
def test_members(member):
    check_member(member)


class LooksAtTheBatch(BaseExitPolicy):
    """Compares a row with its batch mates, which no policy may do."""

    def exit_mask(self, stage, proba):
        confidence = proba[:, stage].max(axis=1)
        return confidence >= np.median(confidence)


def test_a_policy_that_looks_at_the_batch_is_caught():
    with pytest.raises(AssertionError, match="must not change with"):
        check_policy(LooksAtTheBatch())


class FreeLunch(BaseCostModel):
    """Charges the route through both stages the cost of one."""

    def measure(self, call):
        return 1.0

    def path_cost(self, visited):
        return np.ones(len(visited))


def test_a_cost_model_that_does_not_add_up_is_caught():
    with pytest.raises(AssertionError, match="add up the edges"):
        check_cost_model(FreeLunch())


class NotProbabilities(LogisticRegression):
    """Answers scores."""

    def predict_proba(self, X):
        return 2 * super().predict_proba(X)


def test_a_member_that_answers_scores_is_caught():
    with pytest.raises(AssertionError, match="add up to 1"):
        check_member(NotProbabilities())


def test_a_member_without_probabilities_is_caught():
    with pytest.raises(AttributeError, match="predict_proba"):
        check_member(SVC())
