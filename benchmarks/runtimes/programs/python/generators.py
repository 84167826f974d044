import faulthandler, os

faulthandler.enable()


def rows(count):
    for row in range(count):
        yield parse(row)


def parse(row):
    return os.abort() if row == 2 else row


def every(count):
    yield from rows(count)


sum(each for each in every(3))
