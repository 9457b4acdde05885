"""The reject stage: a last stage that costs nothing and abstains.

Its answer is a row of zeros: no class has any probability. Its loss is given, as a share of the
loss of an error (Chow, On optimum recognition error and reject tradeoff, IEEE Transactions on
Information Theory 1970). To policies, curves and operating points it is a stage like any other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._stages import num_rows

__all__ = ["REJECT", "RejectMember", "decode_labels", "resolve_reject_label"]

#: Name of the stage, and the label of rejected samples where labels are strings.
REJECT = "reject"


class RejectMember:
    """The member behind the reject stage.

    Parameters
    ----------
    n_classes : int
    """

    n_exits = 1
    labels = None
    rejects = True

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes

    def step(self, exit: int, X: Any, cached: Any) -> tuple[NDArray[np.float32], None]:
        """Zeros (n_rows, n_classes), and no state."""
        return np.zeros((num_rows(X), self.n_classes), dtype=np.float32), None


def resolve_reject_label(classes: NDArray[Any], reject_label: Any = None) -> Any:
    """Label of rejected samples: `reject_label`, or its default for labels like `classes`."""
    if reject_label is not None:
        return reject_label
    return REJECT if classes.dtype.kind in "USOT" else -1


def decode_labels(
    proba: NDArray[Any], classes: NDArray[Any], reject_label: Any = None
) -> NDArray[Any]:
    """Most likely label of each sample (n_samples,); the reject label where it is rejected."""
    labels, answered = classes[proba.argmax(axis=1)], proba.any(axis=1)
    if answered.all():
        return labels
    return np.where(answered, labels, np.asarray(resolve_reject_label(classes, reject_label)))
