"""Dies in C while numpy is loaded: most of what is mapped was opened with dlopen.

Python calls C, which calls Python again: sorted() calls the key's function. Another thread waits in Python.
"""

import ctypes
import threading
import time

import numpy
import numpy.fft
import numpy.linalg
import numpy.random


def wait():
    time.sleep(1000)


def weigh(address):
    return ctypes.string_at(address)


def arrange(addresses):
    return sorted(addresses, key=lambda each: weigh(each + 0))


threading.Thread(target=wait, daemon=True).start()
time.sleep(0.2)
numpy.linalg.svd(numpy.random.default_rng(1).random((50, 50)))
arrange([8])
