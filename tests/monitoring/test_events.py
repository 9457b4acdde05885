"""What an event says of a rate that changed."""

import pickle

import pytest

from skcascade.monitoring._events import RateEvent
from skcascade.monitoring._monitor import ExitMonitor
from skcascade.monitoring._monitor import RateEvent as FromMonitor


@pytest.mark.parametrize(
    ("source", "seen", "text"),
    [
        (None, 0.4, "fewer exit at B: 40.0% of 50"),
        (None, 0.9, "more exit at B: 90.0% of 50"),
        ("A", 0.4, "fewer keep the answer of A at B: 40.0% of 50"),
        ("A", 0.9, "more keep the answer of A at B: 90.0% of 50"),
    ],
)
def test_text(source, seen, text):
    event = RateEvent("B", source, 0.8, seen, 1000, 50, 4.7e-9, 1e-4, 1234)
    assert str(event) == f"{text}, held out 80.0% of 1,000 (p = 4.7e-09, after 1,234 samples)"
    assert pickle.loads(pickle.dumps(event)) == event


def test_events_are_importable_where_the_monitor_is():
    assert FromMonitor is RateEvent
    assert ExitMonitor.__module__ == "skcascade.monitoring._monitor"
