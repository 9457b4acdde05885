"""Exit rules of trained heads. torch is imported when one decides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Head"]


class Head(NamedTuple):
    """Exit where the logit of a small net reaches a threshold.

    Attributes
    ----------
    layers : tuple of (ndarray, ndarray)
        Weight (n_out, n_in) and bias (n_out,) of each linear layer, float64; ReLU between them.
    mean, scale : ndarray of shape (n_features,)
        Features are standardized: (features - mean) * scale.
    threshold : float
        On the logit.
    """

    layers: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    threshold: float

    def exits(self, proba: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which rows of label probabilities (n_rows, n_classes) exit."""
        return self.score(proba) >= self.threshold

    def score(self, proba: NDArray[np.float32]) -> NDArray[np.float32]:
        """Stop logits (n_rows,) from label probabilities (n_rows, n_classes)."""
        import torch
        from torch.nn.functional import linear

        from ._states import states

        with torch.inference_mode():
            hidden = states(torch.from_numpy(np.ascontiguousarray(proba))).double()
            hidden = (hidden - torch.from_numpy(self.mean)) * torch.from_numpy(self.scale)
            for i, (weight, bias) in enumerate(self.layers):
                hidden = linear(
                    hidden.relu() if i else hidden, torch.from_numpy(weight), torch.from_numpy(bias)
                )
            return hidden[:, 0].numpy().astype(np.float32)
