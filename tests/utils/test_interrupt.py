"""Ctrl-C during training."""

import signal
import threading

import pytest

from skcascade.utils._interrupt import raise_interrupts


def press():
    signal.raise_signal(signal.SIGINT)


def swallow():
    """Ctrl-C, which the block takes as a reason to stop early, as skorch does."""
    try:
        press()
    except KeyboardInterrupt:
        pass


def test_ctrl_c_that_the_block_swallows_is_raised_after_it():
    done = []
    with pytest.raises(KeyboardInterrupt):
        with raise_interrupts():
            swallow()
            done.append("the rest of the block")
    assert done


def test_ctrl_c_that_the_block_lets_pass_is_raised_at_once():
    with pytest.raises(KeyboardInterrupt), raise_interrupts():
        press()
        pytest.fail("The block continued.")


def test_an_early_stop_by_a_callback_is_no_ctrl_c():
    with raise_interrupts():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass


def test_nested_blocks_raise_once_each():
    with pytest.raises(KeyboardInterrupt):
        with raise_interrupts():
            with pytest.raises(KeyboardInterrupt):
                with raise_interrupts():
                    swallow()


@pytest.mark.parametrize("fails", [False, True])
def test_the_handler_is_as_found(fails):
    before = signal.getsignal(signal.SIGINT)
    try:
        with raise_interrupts():
            assert signal.getsignal(signal.SIGINT) is not before
            if fails:
                raise ValueError("training failed")
    except ValueError:
        assert fails
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_leave_the_handler_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with raise_interrupts():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
