"""Private or young names of scikit-learn, imported here and nowhere else in the package."""

from contextlib import contextmanager

from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import _raise_for_params, _routing_enabled
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import (
    _check_method_params,
    _check_sample_weight,
    _check_y,
    _make_indexable,
    _num_samples,
)

try:  # scikit-learn 1.7 moved it
    from sklearn.utils._repr_html.estimator import _VisualBlock
except ImportError:
    from sklearn.utils._estimator_html_repr import _VisualBlock

try:  # new in scikit-learn 1.9, experimental
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Progress reports where scikit-learn has no callbacks yet: they go nowhere."""

        def _init_callback_context(self, **kwargs):
            return _NoCallbacks()

    class _NoCallbacks:
        def subcontext(self, **kwargs):
            return self

        def call_on_fit_task_begin(self, **kwargs):
            return None

        def call_on_fit_task_end(self, **kwargs):
            return None

        @contextmanager
        def propagate_callback_context(self, estimator):
            yield


__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "StrOptions",
    "_BaseComposition",
    "_VisualBlock",
    "_check_method_params",
    "_check_sample_weight",
    "_check_y",
    "_fit_context",
    "_make_indexable",
    "_num_samples",
    "_raise_for_params",
    "_routing_enabled",
    "_safe_indexing",
]
