import faulthandler, os

faulthandler.enable()


class Base:
    def __init__(self):
        self.total

    @property
    def total(self):
        return self["x"]


class Order(Base):
    def __getitem__(self, name):
        return self + 1

    def __add__(self, other):
        os.abort()


Order()
