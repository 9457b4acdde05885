"""Threads, processes and forks: answers are those of one operating point, never of a mixture."""

import multiprocessing
import os
import sys
import threading
import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from skcascade import CascadeClassifier
from skcascade.members import TorchClassifier

N_THREADS = 8


@pytest.fixture
def cascade(faults):
    members = [
        ("tree", DecisionTreeClassifier(max_depth=1)),
        ("net", TorchClassifier(max_epochs=5)),
        ("lr", LogisticRegression()),
    ]
    return CascadeClassifier(members, cost=[1, 5, 25], alpha=0.5, random_state=0).fit(
        faults.X, faults.Y
    )


POINTS = {"alpha": 2.0}, {"max_accuracy_drop": 0.0}


def test_threads_while_the_operating_point_moves(cascade, faults):
    expected = []
    for point in POINTS:
        cascade.set_operating_point(**point)
        route = cascade.walk(faults.X)
        expected.append((route.proba, route.exit, route.visited))
    assert not np.array_equal(expected[0][1], expected[1][1])
    stop, found, errors = threading.Event(), [], []

    def predict():
        while not stop.is_set():
            try:
                found.append(cascade.walk(faults.X)[:3])
            except Exception as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=predict) for _ in range(N_THREADS)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # threads take turns often
    try:
        for thread in threads:
            thread.start()
        for i in range(30):
            cascade.set_operating_point(**POINTS[i % 2])
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
        sys.setswitchinterval(interval)
    assert errors == []
    assert len(found) >= N_THREADS
    for route in found:
        matches = [all(map(np.array_equal, route, one)) for one in expected]
        assert sum(matches) == 1


def test_threads_while_the_cascade_is_fitted_again(cascade, faults):
    """A refit with the same parameters gives the same answers, also during the fit."""
    expected = cascade.walk(faults.X)[:3]
    stop, errors = threading.Event(), []

    def predict():
        while not stop.is_set():
            try:
                route = cascade.walk(faults.X)[:3]
                assert all(map(np.array_equal, route, expected))
            except BaseException as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=predict) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        cascade.fit(faults.X, faults.Y)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert errors == []


# Backends ------------------------------------------------------------------------------------


def fitted(X, y, n_jobs):
    members = [
        ("tree", DecisionTreeClassifier(max_depth=2)),
        ("net", TorchClassifier(max_epochs=2)),
    ]
    params = {"cost": [1, 10], "cv": 3, "n_jobs": n_jobs, "random_state": 0}
    return CascadeClassifier(members, **params).fit(X, y)


@pytest.mark.parametrize(
    "backend", [pytest.param("loky", marks=pytest.mark.slow), "threading", "sequential"]
)
def test_backends_give_the_same_model(backend, faults):
    expected = fitted(faults.X, faults.Y, None)
    with joblib.parallel_config(backend):
        cascade = fitted(faults.X, faults.Y, 2)
    faults.check_same_answers(faults.answers(expected), faults.answers(cascade))


@pytest.mark.parametrize("fault", ["raise", "NaN"])
def test_faults_in_threads(fault, faults):
    case = next(c for c in faults.CASES if (c.place, c.fault) == ("scikit-learn", fault))
    with joblib.parallel_config("threading", n_jobs=2):
        faults.check_unfitted(case)
        faults.check_refit(case)


def answer(cascade, X, pipe):
    torch.set_num_threads(1)
    pipe.send(cascade.predict_proba(X))
    pipe.close()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="Needs fork.")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_of_a_predicting_process(cascade, faults):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        expected = cascade.predict_proba(faults.X)
        context = multiprocessing.get_context("fork")
        for _ in range(3):
            ours, theirs = context.Pipe(duplex=False)
            child = context.Process(target=answer, args=(cascade, faults.X, theirs))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of forks with threads
                child.start()
            assert ours.poll(60), "The child does not answer."
            np.testing.assert_array_equal(ours.recv(), expected)
            child.join(60)
            assert child.exitcode == 0
            np.testing.assert_array_equal(cascade.predict_proba(faults.X), expected)
    finally:
        torch.set_num_threads(threads)
    assert os.getpid() == faults.HOME
