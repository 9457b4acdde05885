"""The few private or young names of scikit-learn the estimator uses, in one place."""

from contextlib import contextmanager

from sklearn.base import _fit_context
from sklearn.utils.metadata_routing import _raise_for_params, _routing_enabled
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import _check_y, _make_indexable

try:  # scikit-learn 1.7 moved it
    from sklearn.utils._repr_html.estimator import _VisualBlock
except ImportError:
    from sklearn.utils._estimator_html_repr import _VisualBlock

try:  # new in scikit-learn 1.9, experimental
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:
        """Progress reports, where scikit-learn has no callbacks yet: nobody listens."""

        def _init_callback_context(self, **kwargs):
            return _Silence()

    class _Silence:
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
    "_BaseComposition",
    "_VisualBlock",
    "_check_y",
    "_fit_context",
    "_make_indexable",
    "_raise_for_params",
    "_routing_enabled",
]
