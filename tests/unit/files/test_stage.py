"""A stage does all in order on its own thread, and its failure is the caller's."""

import os
import signal
import threading

import pytest

from corebox.files.stage import Stage


def test_all_is_done_in_order_on_another_thread_when_the_block_ends() -> None:
    done: list[int] = []
    threads: set[int] = set()

    def act(number: int) -> None:
        done.append(number)
        threads.add(threading.get_ident())

    with Stage(act, 2) as stage:
        for number in range(100):
            stage.put(number)
    assert done == list(range(100))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_what_fails_there_fails_here() -> None:
    def act(number: int) -> None:
        if number == 3:
            raise OSError(28, "full")

    def use() -> None:
        with Stage(act, 2) as stage:
            for number in range(5):
                stage.put(number)

    with pytest.raises(OSError, match="full"):
        use()


def test_what_fails_here_drops_what_waits() -> None:
    begun, go, done = threading.Event(), threading.Event(), []

    def act(number: int) -> None:
        begun.set()
        go.wait(10)
        done.append(number)

    def use() -> None:
        with Stage(act) as stage:
            stage.put(0)
            stage.put(1)
            begun.wait(10)
            threading.Timer(0.1, go.set).start()
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        use()
    assert done == [0]


def test_it_is_full_while_put_would_wait() -> None:
    """Who puts may do something of the work itself then."""
    go = threading.Event()
    with Stage(lambda _: go.wait(10), 2) as stage:
        stage.put(0)
        assert not stage.full
        stage.put(1)
        assert stage.full
        go.set()
        stage.finish()
        assert not stage.full


def test_ctrl_c_while_it_ends_lets_it_end() -> None:
    """Else the thread would go on with a file that the caller has closed."""
    done = []

    def act(seconds: float) -> None:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        threading.Event().wait(seconds)
        done.append(seconds)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), Stage(act) as stage:
            stage.put(0.5)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == [0.5]
