import faulthandler, os

faulthandler.enable()


def till(limit):
    def pay(amount):
        return amount if amount < limit else os.abort()

    return pay


list(map(lambda amount: till(3)(amount), [1, 2, 3]))
