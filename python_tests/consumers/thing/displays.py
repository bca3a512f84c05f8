"""Everything that shows source lines of other modules."""

import asyncio
import gc
import inspect
import linecache
import threading
import traceback
import warnings

from thing import failing


async def _lose_task():
    task = asyncio.create_task(failing.fail_later(), name="lost")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()


def main():
    """Show lines in all ways."""
    warnings.simplefilter("always")
    failing.warn("from there")
    failing.warn("from here", 2)
    linecache.clearcache()
    failing.warn("not cached")
    failing.forget()
    thread = threading.Thread(target=failing.fail, args=(0,), name="worker")
    thread.start()
    thread.join()
    failing.Unraisable()
    asyncio.run(_lose_task())
    failing.log()
    print(failing.moved())
    try:
        failing.chain()
    except LookupError:
        print(traceback.format_exc())
    print(inspect.getsource(failing.chain), inspect.getsourcefile(failing))
    failing.fail(0)


if __name__ == "__main__":
    main()
