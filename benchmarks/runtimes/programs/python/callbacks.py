import faulthandler, os

faulthandler.enable()


import functools
import re


def replaced(found):
    os.abort()


@functools.cmp_to_key
def by_price(left, right):
    return len(re.sub("x", replaced, "axa"))


sorted([3, 1, 2], key=lambda price: by_price(price))
