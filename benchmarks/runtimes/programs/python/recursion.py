import faulthandler, os

faulthandler.enable()


def countdown(left):
    if left == 0:
        os.abort()
    return countdown(left - 1) + 1


countdown(12)
