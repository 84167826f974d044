"""Crashes in ctypes beneath Python frames with locals, beside much data and threads that wait."""

import ctypes
import threading
import time

data = [{"id": number, "name": f"object {number}", "tags": ["a", "b", str(number)]} for number in range(200000)]


def wait(number):
    local = {"number": number, "text": f"thread {number}"}
    time.sleep(1000)
    return local


def inner(number, items):
    message = f"about to crash with {number}"
    ctypes.string_at(0x10)
    return message, items


def outer(depth):
    values = list(range(20))
    return outer(depth - 1) if depth else inner(depth + 7, {"first": values, "second": "text"})


for index in range(3):
    threading.Thread(target=wait, args=(index,), daemon=True).start()
time.sleep(0.3)
outer(4)
