"""Work that waits: each client's in the order it came, and the clients by turns."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """A queue that one client's many orders do not fill for the others; threads may share it."""

    def __init__(self) -> None:
        self._clients: dict[str, deque[T]] = {}  # in the order of their turns; none is empty
        self._is_closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        with self._changed:
            return sum(map(len, self._clients.values()))

    def put(self, client: str, order: T) -> None:
        """Add an order behind the client's others; the turn of a new client is the last."""
        with self._changed:
            self._clients.setdefault(client, deque()).append(order)
            self._changed.notify()

    def put_first(self, client: str, order: T) -> None:
        """Add an order that somebody is waiting for before the client's others; its turn stays what it is."""
        with self._changed:
            self._clients.setdefault(client, deque()).appendleft(order)
            self._changed.notify()

    def get(self) -> T | None:
        """Wait for the next order; None once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._clients or self._is_closed)
            if self._is_closed:
                return None
            client = next(iter(self._clients))
            orders = self._clients.pop(client)
            order = orders.popleft()
            if orders:
                self._clients[client] = orders  # behind the others
            return order

    def take_back(self, is_it: Callable[[T], bool]) -> list[T]:
        """Take out those that nobody has begun and that it is true of."""
        with self._changed:
            found = [order for orders in self._clients.values() for order in orders if is_it(order)]
            left = {client: deque(o for o in orders if not is_it(o)) for client, orders in self._clients.items()}
            self._clients = {client: orders for client, orders in left.items() if orders}
        return found

    def place(self, client: str, is_it: Callable[[T], bool]) -> int | None:
        """How many orders come before and including the client's first that it is true of; None where it waits not."""
        with self._changed:
            ours = self._clients.get(client, deque[T]())
            before = next((number for number, order in enumerate(ours) if is_it(order)), None)
            if before is None:
                return None
            turns = list(self._clients)
            own = turns.index(client)
            others = (
                min(len(orders), before + (turn < own))
                for turn, orders in enumerate(self._clients.values())
                if turn != own
            )
            return before + 1 + sum(others)

    def close(self) -> list[T]:
        """Let every `get` answer None, from now on; returns what waited."""
        with self._changed:
            left = [order for orders in self._clients.values() for order in orders]
            self._clients, self._is_closed = {}, True
            self._changed.notify_all()
        return left
