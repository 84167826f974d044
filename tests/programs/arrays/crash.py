"""Dies in C while numpy is loaded: most of what is mapped was opened with dlopen."""

import ctypes

import numpy
import numpy.fft
import numpy.linalg
import numpy.random

numpy.linalg.svd(numpy.random.default_rng(1).random((50, 50)))
ctypes.string_at(8)
