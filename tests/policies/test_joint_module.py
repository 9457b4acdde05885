"""Members and heads as one module."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.naive_bayes import GaussianNB

torch = pytest.importorskip("torch")

from torch import nn

from skcascade import CascadeClassifier, Trace
from skcascade.members import TorchClassifier
from skcascade.policies._joint_module import Aligned, JointModule
from skcascade.policies._reinforce_joint import _assemble
from skcascade.policies._reinforce_loss import JointLoss
from skcascade.policies._reinforce_net import Heads
from skcascade.policies._states import states

DIGITS, DIGIT = load_digits(return_X_y=True)
DIGITS = DIGITS.astype(np.float32)


def mlp(hidden, epochs=5):
    return TorchClassifier(
        module_params={"hidden": hidden}, max_epochs=epochs, early_stopping=False
    )


def test_joint_module_answers_as_the_members_do():
    members = [("net", mlp((16,))), ("nb", GaussianNB()), ("raw", mlp((8,)))]
    cascade = CascadeClassifier(members, cost=[1, 2, 3], random_state=0)
    stages = cascade.fit(DIGITS[:600], DIGIT[:600]).stages_
    rows = DIGITS[600:700], DIGIT[600:700]
    module, (fitting, _) = _assemble(stages, Heads(states(torch.rand(5, 3, 10))), rows, rows)
    _, log_proba = module.eval()(**fitting.X)
    recorded = Trace.record(stages, rows[0]).proba
    np.testing.assert_allclose(log_proba.detach().exp(), recorded, atol=1e-5)


@pytest.mark.parametrize("through_states", [True, False])
def test_the_gradient_of_the_heads_reaches_members_through_what_they_read(through_states):
    class Answers(nn.Module):
        def __init__(self):
            super().__init__()
            self.logits = nn.Parameter(torch.tensor([[1.0, 0.5, -1.0], [2.0, 0.0, 0.0]]))

        def forward(self, rows):
            return self.logits.log_softmax(-1).expand(len(rows), 2, 3)

    torch.manual_seed(0)
    member = Answers()
    heads = Heads(states(torch.rand(5, 2, 3).softmax(2)))
    nn.init.ones_(heads[0][-1].weight)
    module = JointModule([member], [0, 1], heads, through_states)
    rows, y = torch.zeros(4, 1), torch.tensor([0, 1, 2, 1])
    loss = JointLoss(
        "cross_entropy", supervised=1.0, cost=torch.tensor([0.1, 1.0]), alpha=0.3,
        gradient="exact", baseline="none", n_draws=1, entropy=0.0,
    )  # fmt: skip
    loss(module((rows,), torch.empty(4, 0, 3)), y).backward()
    plain = member.logits.detach().clone().requires_grad_()
    (plain.log_softmax(-1)[:, y].sum() / -4).backward()
    same = torch.allclose(member.logits.grad, plain.grad, atol=1e-6)
    assert same != through_states
    assert torch.allclose(member.logits.grad[1], plain.grad[1], atol=1e-6)  # no head reads it


def test_a_member_that_lacks_a_class():
    lacking = mlp((16,)).fit(DIGITS[DIGIT < 9][:500], DIGIT[DIGIT < 9][:500])
    stages = (
        CascadeClassifier(
            [("lacking", FrozenEstimator(lacking)), ("net", mlp((16,)))], random_state=0
        )
        .fit(DIGITS[:600], DIGIT[:600])
        .stages_
    )
    member = stages.members[0][1]
    member.estimator = lacking  # no longer frozen
    module, (rows,) = member.joint(DIGITS[600:620])
    log_proba = Aligned(module, stages.get_columns("lacking"), 10)(rows)
    assert log_proba.shape == (20, 1, 10)
    assert (log_proba[:, 0, 9] < -20).all()
