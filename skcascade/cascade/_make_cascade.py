"""The shortest code for a cascade."""

from __future__ import annotations

from typing import Any

from ._cascade import CascadeClassifier

__all__ = ["make_cascade"]


def make_cascade(*members: Any, **kwargs: Any) -> CascadeClassifier:
    """A :class:`CascadeClassifier` whose members are named by their types, in lower case.

    Parameters
    ----------
    *members : estimators
        From the cheapest to the most expensive.
    **kwargs : dict
        Parameters of the cascade.

    Returns
    -------
    cascade : CascadeClassifier

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skcascade import make_cascade
    >>> [name for name, _ in make_cascade(GaussianNB(), LogisticRegression()).members]
    ['gaussiannb', 'logisticregression']
    """
    kinds = [member if isinstance(member, type) else type(member) for member in members]
    names = [kind.__name__.lower() for kind in kinds]
    numbered = [
        name if names.count(name) == 1 else f"{name}-{names[: i + 1].count(name)}"
        for i, name in enumerate(names)
    ]
    return CascadeClassifier(list(zip(numbered, members)), **kwargs)
