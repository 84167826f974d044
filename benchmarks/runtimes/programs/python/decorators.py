import faulthandler, os

faulthandler.enable()


import functools


def logged(function):
    @functools.wraps(function)
    def wrapper(*arguments, **options):
        return function(*arguments, **options)

    return wrapper


@logged
@functools.lru_cache
def price(
    name,
    count=1,
):
    return {
        "a": 1,
        "b": os.abort(),
    }[name]


functools.partial(price, "a")(count=2)
