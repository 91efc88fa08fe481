"""Work in threads that keeps its order: frames are decoded while others are looked at.

Everything heavy here (decoding, LiteRT, OpenVINO, OpenCV) releases Python's lock, so threads do run side by side.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_background(items: Iterable[Item], ahead: int) -> Generator[Item, None, None]:
    """The items of an iterable, in order, made by a thread of their own that is at most `ahead` of them ahead.

    What the iterable raises is raised here, after the items before. Closing the generator stops the thread and closes
    the iterable, if that can be closed.

    Raises
    ------
    ValueError
        `ahead` is less than one.
    """
    if ahead < 1:
        raise ValueError(f"ahead is {ahead}; a thread needs room for at least one item.")
    done: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
    room = threading.Semaphore(ahead)
    stopped = threading.Event()

    def work() -> None:
        last: tuple[str, object] = ("end", None)
        try:
            for item in items:
                room.acquire()
                if stopped.is_set():
                    break
                done.put(("item", item))
        except BaseException as error:
            last = ("error", error)
        finally:
            close(items)
            done.put(last)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            kind, value = done.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            room.release()
            yield value
    finally:
        stopped.set()
        room.release()
        thread.join()


def mapped(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Generator[Result, None, None]:
    """`work` of every item, in order, by several threads; at most one item more than there are threads is under way.

    With no thread the work is done here, and each result comes before the next item is asked for. What the iterable
    raises is raised after the results of the items before. Closing the generator waits for what is under way and closes
    the iterable, if that can be closed.
    """
    try:
        if threads == 0:
            yield from map(work, items)
            return
        pending: deque[Future[Result]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            try:
                for item in until_error(items):
                    if isinstance(item, Raised):
                        yield from (future.result() for future in pending)
                        raise item.error
                    pending.append(pool.submit(work, item))
                    if len(pending) > threads:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()
    finally:
        close(items)


@dataclass(frozen=True)
class Raised:
    """An error in the place of the item that there is none of."""

    error: Exception


def until_error(items: Iterable[Item]) -> Generator[Item | Raised, None, None]:
    """The items of an iterable and, as the last one, what it raised, if it did: time to finish what was begun."""
    try:
        yield from items
    except Exception as error:
        yield Raised(error)


def close(items: Iterable) -> None:
    """End a generator at once, that its files are closed; other iterables have nothing to end."""
    if hasattr(items, "close"):
        items.close()
