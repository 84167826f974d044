# Two Python functions that hand a null pointer to C: invoices.py BUG PATH.
import ctypes
import sys
import threading


def parse_invoice(text):
    return ctypes.string_at(text)


def render_chart(points):
    return ctypes.string_at(points)


BUGS = {"parse": lambda: parse_invoice(0), "render": lambda: render_chart(0)}


def run_batch(bug):
    return [BUGS[each]() for each in [bug]]


def serve(bug):
    worker = threading.Thread(target=run_batch, args=(bug,))
    worker.start()
    worker.join()


{"batch": run_batch, "import": lambda bug: sorted([3, 1], key=lambda _: BUGS[bug]()), "serve": serve}[sys.argv[2]](
    sys.argv[1]
)
