import faulthandler, os

faulthandler.enable()


import contextlib


@contextlib.contextmanager
def till():
    try:
        yield 1
    finally:
        os.abort()


def pay():
    with till() as amount:
        raise ValueError(amount)


pay()
