import faulthandler, os

faulthandler.enable()


import asyncio


async def price_of(number):
    await asyncio.sleep(0)
    return os.abort() if number == 2 else number


async def main():
    return [await price_of(number) for number in range(3)]


asyncio.run(main())
