"""What a walk gives: the answer, exit and route of every sample."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..utils._pandas import import_pandas

__all__ = ["Walk"]


class Walk(NamedTuple):
    """The route that every sample took.

    Attributes
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities of the stage at which the sample exited.
    exit : ndarray of int, shape (n_samples,)
        Index of the stage at which the sample exited.
    visited : ndarray of bool, shape (n_samples, n_stages)
        Which stages the sample visited, its exit included.
    label : ndarray of shape (n_samples,) or None
        Predicted label. Only from :meth:`CascadeClassifier.walk`.
    cost : ndarray of shape (n_samples,) or None
        Cost incurred. From :meth:`CascadeClassifier.walk`, in the unit of the cost model, and
        from :func:`walk` over a trace with costs of the rows.
    classes : ndarray of shape (n_classes,) or None
        Labels of the columns of `proba`; None: codes 0 to n_classes - 1.
    stage_names : list of str or None
        None: indices.
    """

    proba: NDArray[np.float32]
    exit: NDArray[np.intp]
    visited: NDArray[np.bool_]
    label: NDArray[Any] | None = None
    cost: NDArray[np.float64] | None = None
    classes: NDArray[Any] | None = None
    stage_names: list[str] | None = None

    def to_frame(self, index: Any = None) -> Any:
        """One row per sample, for logs and tables. Needs pandas.

        Parameters
        ----------
        index : array-like of shape (n_samples,), default=None
            Index of the frame, such as ``X.index``.

        Returns
        -------
        frame : pandas.DataFrame
            Columns `label` and `cost` (where they are known), `exit` (name of the stage),
            `visited NAME` for each stage and `proba CLASS` for each class.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> from skcascade import Trace, walk
        >>> from skcascade.policies import ConfidenceThreshold
        >>> trace = Trace([[[0.95, 0.05], [0.6, 0.4]], [[0.5, 0.5], [0.25, 0.75]]])
        >>> policy = ConfidenceThreshold().with_thresholds([0.9, float("inf")])
        >>> walk(trace, policy).to_frame()[["exit", "visited 1", "proba 1"]]
          exit  visited 1  proba 1
        0    0      False     0.05
        1    1       True     0.75
        """
        names = self.stage_names or [str(k) for k in range(self.visited.shape[1])]
        classes = range(self.proba.shape[1]) if self.classes is None else self.classes
        known = {"label": self.label, "cost": self.cost}
        columns = {name: values for name, values in known.items() if values is not None}
        columns["exit"] = np.array(names, dtype=object)[self.exit]
        columns |= {f"visited {name}": self.visited[:, k] for k, name in enumerate(names)}
        columns |= {f"proba {label}": self.proba[:, c] for c, label in enumerate(classes)}
        return import_pandas().DataFrame(columns, index=index)
