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

__all__ = [
    "REJECT",
    "RejectMember",
    "add_reject_label",
    "decode_labels",
    "resolve_reject_label",
]

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
    if classes.dtype.kind in "mM":
        return classes.dtype.type("NaT")
    return REJECT if classes.dtype.kind in "USOT" else -1


def add_reject_label(classes: NDArray[Any], reject_label: Any = None) -> NDArray[Any]:
    """`classes` and the label of rejected samples, in one array (n_classes + 1,).

    So the type of predicted labels does not depend on whether a batch has rejected samples.

    Raises
    ------
    ValueError
        If the label is one of `classes`, or of another kind.
    """
    label = resolve_reject_label(classes, reject_label)
    kinds = [_kind(classes.dtype), _kind(np.asarray(label).dtype)]
    if "object" not in kinds and kinds[0] != kinds[1]:
        raise ValueError(
            f"`reject_label`, {label!r}, is a {kinds[1]}, and the labels in `y` are of the kind"
            f" {kinds[0]}, so that `predict` could not return both. Choose a {kinds[0]}."
        )
    if label in classes.tolist():
        raise ValueError(
            f"`reject_label`, {label!r}, is a label in `y`. Choose another one for rejected"
            " samples."
        )
    if kinds[0] == "object":
        labels = np.empty(len(classes) + 1, dtype=object)
        labels[:-1], labels[-1] = classes, label
        return labels
    labels = np.append(classes, label)
    if classes.dtype.kind in "iu" and labels.dtype.kind == "f":
        if not abs(labels[-1]) < 2**63 or labels[-1] != np.floor(labels[-1]):
            raise ValueError(
                f"`reject_label`, {label!r}, is no whole number as the labels in `y` are. Choose"
                " one, such as -1."
            )
        labels = np.append(classes.astype(np.int64), np.int64(label))
    return labels


def _kind(dtype):
    """number, string, date, duration or object."""
    names = {"b": "number", "M": "date", "m": "duration", "O": "object"}
    names |= dict.fromkeys("iufc", "number") | dict.fromkeys("UST", "string")
    return names[dtype.kind]


def decode_labels(proba: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    """Most likely label of each sample (n_samples,).

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Zeros where the sample is rejected.
    labels : ndarray of shape (n_classes,) or (n_classes + 1,)
        The last one is for rejected samples, if there are any.
    """
    codes = proba.argmax(axis=1)
    if len(labels) > proba.shape[1]:
        codes[~proba.any(axis=1)] = -1
    return labels[codes]
