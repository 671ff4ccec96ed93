"""The pool never grows, gets every instance back, and ends when it is told to."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest

from core.errors import PoolClosed, PoolTimeout
from core.pool import Pool
from testkit.patience import PATIENCE_S
from tests.fakes import CountingMesh, MeshFactory

SIZE = 2
FRAME = np.zeros((8, 8, 3), np.uint8)


class Broken(Exception):
    """What goes wrong on purpose."""


@pytest.fixture
def meshes() -> MeshFactory:
    return MeshFactory()


@pytest.fixture
def pool(meshes: MeshFactory) -> Iterator[Pool[CountingMesh]]:
    pool = Pool(meshes, SIZE)
    pool.fill()
    yield pool
    assert pool.close()
    assert meshes.alive == 0
    assert meshes.most_alive <= SIZE


def assert_whole(pool: Pool[CountingMesh]) -> None:
    """All instances are there, none is lent, and all can be lent at once, but no more."""
    statistics = pool.statistics()
    assert (statistics.in_use, statistics.waiting) == (0, 0)
    with ExitStack() as stack:
        lent = [stack.enter_context(pool.borrow(1)) for _ in range(statistics.max_size)]
        assert len(set(lent)) == pool.statistics().pool_size == statistics.max_size
        assert not any(mesh.closed for mesh in lent)
        assert pool.statistics().available == 0
        with pytest.raises(PoolTimeout):
            stack.enter_context(pool.borrow(0))
    assert pool.statistics().in_use == 0
    assert pool.statistics().available == statistics.max_size


def run(work: Callable[[], object]) -> None:
    """Run in a thread of its own, to its end."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def until_closed(pool: Pool[CountingMesh]) -> None:
    """Wait until a pool is closed of which all instances are lent."""
    with pytest.raises(PoolClosed), pool.borrow(PATIENCE_S):
        pass


def test_fill_makes_every_instance_at_the_same_time() -> None:
    together = threading.Barrier(4)
    meshes = MeshFactory(before=lambda: together.wait(10))
    pool = Pool(meshes, 4)
    pool.fill()
    assert pool.statistics().pool_size == meshes.made == 4
    pool.fill()
    assert meshes.made == 4
    assert pool.close()


def test_fill_raises_what_the_factory_raised() -> None:
    def broken() -> CountingMesh:
        raise Broken

    pool = Pool(broken, SIZE)
    with pytest.raises(Broken):
        pool.fill()
    assert pool.statistics().pool_size == 0
    assert pool.close()


def test_an_instance_is_lent_and_comes_back(pool: Pool[CountingMesh], meshes: MeshFactory) -> None:
    with pool.borrow(1) as mesh:
        assert mesh.process(FRAME) == []
        statistics = pool.statistics()
        assert (statistics.in_use, statistics.available, statistics.pool_size) == (1, SIZE - 1, SIZE)
    assert_whole(pool)
    assert meshes.made == SIZE
    assert pool.statistics().recycled_total == 0


@pytest.mark.parametrize("error", [Broken, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_instance_comes_back_however_the_block_ends(
    pool: Pool[CountingMesh], meshes: MeshFactory, error: type[BaseException]
) -> None:
    with pytest.raises(error), pool.borrow(1) as mesh:
        raise error
    assert mesh.closed
    assert pool.statistics().recycled_total == 1
    assert_whole(pool)
    assert meshes.made == SIZE + 1


def test_a_return_out_of_the_block_is_a_success(pool: Pool[CountingMesh]) -> None:
    def use() -> CountingMesh:
        with pool.borrow(1) as mesh:
            return mesh

    assert not use().closed
    assert_whole(pool)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_instance_comes_back_when_its_thread_exits(pool: Pool[CountingMesh]) -> None:
    def leave() -> None:
        with pool.borrow(1):
            raise SystemExit

    for _ in range(SIZE + 1):
        run(leave)
    assert_whole(pool)


def test_an_instance_comes_back_when_its_thread_ends_inside_the_block(pool: Pool[CountingMesh]) -> None:
    def die_inside() -> None:
        pool.borrow(1).__enter__()

    for _ in range(SIZE + 1):
        run(die_inside)
    gc.collect()
    assert_whole(pool)


def test_a_borrower_waits_for_an_instance_and_gets_it(pool: Pool[CountingMesh]) -> None:
    with ThreadPoolExecutor(1) as executor, ExitStack() as stack:
        for _ in range(SIZE):
            stack.enter_context(pool.borrow(0))
        waiter = executor.submit(lambda: stack.enter_context(pool.borrow(10)))
        while pool.statistics().waiting == 0:
            time.sleep(0.001)
        stack.pop_all().close()
        assert not waiter.result(10).closed
        stack.close()
    assert pool.statistics().exhausted_total == 1
    assert_whole(pool)


def test_a_wait_in_vain_is_a_typed_error_and_counted(pool: Pool[CountingMesh], meshes: MeshFactory) -> None:
    with ExitStack() as stack:
        for _ in range(SIZE):
            stack.enter_context(pool.borrow(0))
        with pytest.raises(PoolTimeout, match=r"within 0\.01 s") as caught, pool.borrow(0.01):
            pass
    assert caught.value.code == "busy"
    assert caught.value.retryable
    assert pool.statistics().timeouts_total == 1
    assert meshes.made == SIZE


def test_a_worn_instance_is_replaced(meshes: MeshFactory) -> None:
    pool = Pool(meshes, 1, max_uses=3)
    lent = []
    for _ in range(7):
        with pool.borrow(1) as mesh:
            lent.append(mesh)
    assert [lent.index(mesh) for mesh in lent] == [0, 0, 0, 3, 3, 3, 6]
    assert [mesh.closed for mesh in lent] == [True] * 6 + [False]
    assert pool.statistics().recycled_total == 2
    assert pool.close()


def test_without_a_limit_an_instance_is_never_worn(meshes: MeshFactory) -> None:
    pool = Pool(meshes, 1)
    for _ in range(1_000):
        with pool.borrow(1):
            pass
    assert meshes.made == 1
    assert pool.close()


def test_a_slow_replacement_holds_up_nobody_else(pool: Pool[CountingMesh], meshes: MeshFactory) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        began.set()
        assert go_on.wait(10)

    def fail() -> None:
        with pytest.raises(Broken), pool.borrow(1):
            raise Broken

    meshes.before = slowly
    failing = threading.Thread(target=fail)
    failing.start()
    assert began.wait(10)
    for _ in range(10):
        with pool.borrow(0):
            assert (pool.statistics().pool_size, pool.statistics().in_use) == (SIZE - 1, SIZE)
            with pytest.raises(PoolTimeout):
                pool.borrow(0).__enter__()
    go_on.set()
    failing.join()
    meshes.before = None
    assert_whole(pool)


def test_a_failed_replacement_is_made_up_for_by_the_next_borrower(
    pool: Pool[CountingMesh], meshes: MeshFactory, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise Broken

    meshes.before = fail
    for _ in range(SIZE):
        with pytest.raises(ZeroDivisionError), pool.borrow(1):
            raise ZeroDivisionError
    assert "could not be replaced" in caplog.text
    assert pool.statistics().pool_size == 0
    assert pool.statistics().available == 0
    with pytest.raises(Broken), pool.borrow(1):
        pass
    meshes.before = None
    assert_whole(pool)


def test_an_empty_place_is_lent_last(pool: Pool[CountingMesh], meshes: MeshFactory) -> None:
    def fail() -> None:
        raise Broken

    meshes.before = fail
    with pytest.raises(ZeroDivisionError), pool.borrow(1):
        raise ZeroDivisionError
    for _ in range(3):
        with pool.borrow(1) as mesh:
            assert not mesh.closed
    meshes.before = None


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_during_the_replacement_loses_no_place(
    pool: Pool[CountingMesh], meshes: MeshFactory, error: type[BaseException]
) -> None:
    def interrupt() -> None:
        raise error

    meshes.before = interrupt
    with pytest.raises(error), pool.borrow(1):
        raise Broken
    meshes.before = None
    assert_whole(pool)


def test_an_instance_that_cannot_be_closed_is_replaced_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    class Unclosable(CountingMesh):
        def close(self) -> None:
            super().close()
            raise Broken

    meshes = MeshFactory(Unclosable)
    pool = Pool(meshes, SIZE)
    with pytest.raises(ZeroDivisionError), pool.borrow(1):
        raise ZeroDivisionError
    assert_whole(pool)
    assert pool.close()
    assert meshes.alive == 0
    assert "raised while it was closed" in caplog.text


def test_many_threads_never_have_more_instances_than_the_pool_has_places() -> None:
    meshes = MeshFactory(before=lambda: time.sleep(0.001))
    pool = Pool(meshes, 3, max_uses=5)
    users: Counter[CountingMesh] = Counter()

    def use(_: int) -> None:
        with pool.borrow(30) as mesh:
            users[mesh] += 1
            assert users[mesh] == 1, "lent to two at once"
            time.sleep(0.0005)
            users[mesh] -= 1

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(use, range(300)))
    assert meshes.most_alive == 3
    assert pool.statistics().recycled_total >= 300 // 5 - 3
    assert_whole(pool)
    assert pool.close()


def test_a_closed_pool_lends_nothing_and_closing_again_is_harmless(meshes: MeshFactory) -> None:
    pool = Pool(meshes, SIZE)
    pool.fill()
    assert pool.close()
    assert pool.close()
    assert meshes.alive == pool.statistics().pool_size == 0
    with pytest.raises(PoolClosed) as caught, pool.borrow(1):
        pass
    assert caught.value.code == "busy"
    assert (pool.statistics().in_use, meshes.made) == (0, SIZE)


def test_close_waits_for_what_is_lent(meshes: MeshFactory) -> None:
    pool = Pool(meshes, 1)
    with ThreadPoolExecutor(1) as executor:
        with pool.borrow(1) as mesh:
            closing = executor.submit(pool.close, 10)
            until_closed(pool)
            assert not closing.done()
            assert not mesh.closed
        assert closing.result(10)
    assert mesh.closed
    assert meshes.alive == 0


def test_close_waits_for_an_instance_that_is_being_made(meshes: MeshFactory) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        began.set()
        assert go_on.wait(10)

    meshes.before = slowly
    pool = Pool(meshes, 1)

    def use() -> None:
        with pool.borrow(1):
            pass

    with ThreadPoolExecutor(2) as executor:
        using = executor.submit(use)
        assert began.wait(10)
        closing = executor.submit(pool.close, 10)
        until_closed(pool)
        assert not closing.done()
        go_on.set()
        assert closing.result(10)
        using.result(10)
    assert (meshes.made, meshes.alive) == (1, 0)


def test_close_returns_only_when_every_instance_has_been_closed() -> None:
    class SlowToClose(CountingMesh):
        def close(self) -> None:
            closing.set()
            time.sleep(0.1)
            super().close()

    closing = threading.Event()
    meshes = MeshFactory(SlowToClose)
    pool = Pool(meshes, 1, max_uses=1)

    def use() -> None:
        with pool.borrow(1):
            pass

    thread = threading.Thread(target=use)
    thread.start()
    assert closing.wait(10)
    assert pool.close()
    assert meshes.alive == 0
    thread.join()


@pytest.mark.parametrize("error", [None, Broken])
def test_an_instance_still_lent_at_close_is_closed_when_it_comes_back(
    meshes: MeshFactory, error: type[Exception] | None
) -> None:
    pool = Pool(meshes, SIZE)
    pool.fill()
    lent = pool.borrow(1)
    mesh = lent.__enter__()
    assert not pool.close(0.02)
    assert (mesh.closed, meshes.alive) == (False, 1)
    assert not lent.__exit__(error, error() if error else None, None)
    assert mesh.closed
    assert (meshes.made, meshes.alive, pool.statistics().pool_size) == (SIZE, 0, 0)
    assert pool.close()


def test_one_who_waits_when_the_pool_closes_is_told_so(meshes: MeshFactory) -> None:
    pool = Pool(meshes, 1)

    def wait() -> None:
        with pool.borrow(10):
            pass

    with ThreadPoolExecutor(1) as executor:
        with pool.borrow(0):
            waiting = executor.submit(wait)
            while pool.statistics().waiting == 0:
                time.sleep(0.001)
            assert not pool.close(0)
        with pytest.raises(PoolClosed):
            waiting.result(10)
    assert pool.close()
    assert (pool.statistics().in_use, pool.statistics().waiting, meshes.alive) == (0, 0, 0)


def test_a_pool_that_was_never_closed_warns(meshes: MeshFactory) -> None:
    pool = Pool(meshes, SIZE)
    pool.fill()
    with pytest.warns(ResourceWarning, match="pool of 2 was never closed"):
        del pool


def test_a_pool_that_made_nothing_does_not_warn(meshes: MeshFactory) -> None:
    Pool(meshes, SIZE)
    gc.collect()


@pytest.mark.parametrize("size", [0, -1])
def test_a_pool_has_at_least_one_place(meshes: MeshFactory, size: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Pool(meshes, size)


FATES = ("used", "raised", "timed out", "not made", "died")


class Storm:
    """Borrowers that do everything wrong at random, and keep count of what happened to them."""

    def __init__(self, seed: int) -> None:
        self.meshes = MeshFactory(before=self.make_or_fail)
        self.pool: Pool[CountingMesh] = Pool(self.meshes, 3, max_uses=7)
        self.calm = False
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.happened: Counter[str] = Counter()

    def make_or_fail(self) -> None:
        if not self.calm and self._random.random() < 0.2:
            raise Broken

    def borrow_often(self, borrows: int) -> None:
        for _ in range(borrows):
            with self._lock:
                fate, patience, hold = (self._random.random() for _ in range(3))
            outcome = self._borrow(fate, patience * 0.002, hold * 0.0005 if hold < 0.2 else 0.0)
            with self._lock:
                self.happened[outcome] += 1

    def _borrow(self, fate: float, patience: float, hold: float) -> str:
        if fate < 0.02:
            run(lambda: self._die_inside(patience))
            return "died"
        try:
            with self.pool.borrow(patience) as mesh:
                mesh.process(FRAME)
                time.sleep(hold)
                if fate < 0.1:
                    raise ZeroDivisionError
                if fate < 0.15:
                    raise KeyboardInterrupt
            return "used"
        except PoolTimeout:
            return "timed out"
        except Broken:
            return "not made"
        except (ZeroDivisionError, KeyboardInterrupt):
            return "raised"

    def _die_inside(self, patience: float) -> None:
        try:
            self.pool.borrow(patience).__enter__()
        except (PoolTimeout, Broken) as error:
            with self._lock:
                self.happened[f"died of {type(error).__name__}"] += 1


@pytest.mark.parametrize("seed", [1, 2])
def test_ten_thousand_borrows_of_every_kind_leave_the_pool_whole(seed: int) -> None:
    storm = Storm(seed)
    with ThreadPoolExecutor(8) as executor:
        list(executor.map(storm.borrow_often, [1_250] * 8))
    storm.calm = True
    gc.collect()
    happened, after = storm.happened, storm.pool.statistics()
    assert sum(happened[kind] for kind in FATES) == 10_000
    assert min(happened[kind] for kind in FATES) > 20

    timed_out = happened["timed out"] + happened["died of PoolTimeout"]
    assert (after.in_use, after.waiting) == (0, 0)
    assert after.timeouts_total == timed_out <= after.exhausted_total
    assert after.recycled_total == storm.meshes.closed
    assert after.pool_size == storm.meshes.alive <= 3
    assert storm.meshes.most_alive <= 3

    assert_whole(storm.pool)
    assert storm.pool.statistics().pool_size == storm.pool.statistics().max_size == 3
    assert storm.pool.close()
    assert storm.meshes.alive == 0
