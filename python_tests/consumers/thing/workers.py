"""Work for other processes."""

import multiprocessing
import sys


class Work:
    """A value that goes from process to process."""

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return f"{type(self).__module__}.Work({self.value})"

    def __call__(self, number):
        """Divide the value."""
        return Work(self.value // number)


def work(number):
    """Work in another process."""
    return Work(60)(number)


def with_pool(method):
    """Work in a pool, and fail in it."""
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        print(method, pool.map(work, [1, 2, 3]))
        try:
            pool.map(work, [0])
        except ZeroDivisionError as error:
            print(error.__cause__)


def with_executor(executor):
    """Work in a `concurrent.futures` executor, and fail in it."""
    with executor:
        print(list(executor.map(work, [1, 2, 3])), executor.submit(Work(8), 2).result())
        print(executor.submit(work, 0).exception().__cause__)


if __name__ == "__main__":
    if sys.argv[1] == "loky":
        import loky

        with_executor(loky.ProcessPoolExecutor(2))
    elif sys.argv[1] == "futures":
        import concurrent.futures

        context = multiprocessing.get_context(sys.argv[2])
        with_executor(concurrent.futures.ProcessPoolExecutor(2, mp_context=context))
    else:
        with_pool(sys.argv[1])
