"""Dies as CPython 3.11 with the calls of its innermost function in a circle, as a stray write may leave them."""

import ctypes
import os
import sys

WORD = ctypes.sizeof(ctypes.c_void_p)


def inner():
    # PyFrameObject.f_frame, then _PyInterpreterFrame.previous (Include/internal/pycore_frame.h).
    frame = ctypes.c_void_p.from_address(id(sys._getframe()) + 3 * WORD).value
    ctypes.c_void_p.from_address(frame + 6 * WORD).value = frame
    os.abort()


def outer():
    inner()


outer()
