import faulthandler, os

faulthandler.enable()


import threading


def work(order):
    if order == 2:
        os.abort()
    threading.Event().wait(0.01)


threads = [threading.Thread(target=work, args=(order,)) for order in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
