"""Which of the free workers train a trial together."""

import itertools
import random
from collections import Counter

import pytest

from deephpo.engine.idle import IdleWorkers


def idle(**hosts):
    """Return free workers: so many on each host, numbered from 1 on."""
    workers, number = IdleWorkers(), 0
    for host, count in hosts.items():
        for _ in range(count):
            number += 1
            workers.add(number, host)
    return workers


class TestOneWorker:
    def test_the_one_that_is_free_for_longest_goes_first(self):
        workers = idle(a=3)
        workers.discard(1)
        workers.add(1, "a")
        assert [workers.take(1) for _ in range(3)] == [(2,), (3,), (1,)]
        assert len(workers) == 0

    def test_among_hosts_with_as_many_free_ones_it_is_the_one_that_has_had_so_many_for_longest(self):
        workers = idle(a=1, b=1, c=1)
        assert workers.take(1) == (1,)
        workers.add(1, "a")
        assert [workers.take(1) for _ in range(3)] == [(2,), (3,), (1,)]

    def test_it_leaves_whole_hosts_to_those_that_need_them(self):
        workers = idle(a=4, b=1, c=4)
        assert workers.take(1) == (5,)
        assert workers.take(4) == (1, 2, 3, 4)
        assert workers.take(4) == (6, 7, 8, 9)


class TestAGang:
    def test_gets_the_host_with_the_fewest_free_workers_that_are_enough(self):
        workers = idle(a=8, b=3, c=4, d=1)
        assert workers.take(3) == (9, 10, 11)
        assert workers.take(3) == (12, 13, 14)
        assert workers.take(3) == (1, 2, 3)

    def test_that_no_host_can_take_fills_as_few_as_there_can_be(self):
        workers = idle(a=1, b=3, c=4, d=2)
        # All of c and b; what is left over is on the smallest that is enough.
        assert workers.take(8) == (5, 6, 7, 8, 2, 3, 4, 1)
        assert workers.take(2) == (9, 10)

    def test_may_take_all_that_there_are(self):
        workers = idle(a=2, b=2)
        assert sorted(workers.take(4)) == [1, 2, 3, 4]
        assert len(workers) == 0

    def test_stands_host_by_host_in_the_order_of_the_workers(self):
        workers = IdleWorkers()
        for worker, host in [(6, "a"), (2, "b"), (4, "a"), (1, "b"), (5, "a"), (3, "b")]:
            workers.add(worker, host)
        assert workers.take(6) == (4, 5, 6, 1, 2, 3)


class TestTheBooks:
    def test_a_worker_that_is_taken_in_twice_is_there_once_on_its_last_host(self):
        workers = idle(a=2)
        workers.add(1, "b")
        assert len(workers) == 2
        assert workers.take(2) in {(1, 2), (2, 1)}
        workers.add(1, "b")
        workers.add(3, "b")
        assert workers.take(2) == (1, 3)

    def test_a_worker_that_is_struck_out_is_not_taken(self):
        workers = idle(a=2)
        workers.discard(1)
        workers.discard(1)
        workers.discard(7)
        assert (1 in workers, 2 in workers, len(workers)) == (False, True, 1)
        assert workers.take(1) == (2,)

    @pytest.mark.parametrize("seed", range(20))
    def test_whatever_comes_and_goes_gangs_are_on_as_few_hosts_as_possible(self, seed):
        rng, workers = random.Random(seed), IdleWorkers()
        home = {worker: f"node{rng.randrange(12)}" for worker in range(60)}
        free = set()
        for _ in range(2000):
            choice, worker = rng.random(), rng.randrange(60)
            if choice < 0.55:
                workers.add(worker, home[worker])
                free.add(worker)
            elif choice < 0.7:
                workers.discard(worker)
                free.discard(worker)
            elif free:
                k = rng.randint(1, min(len(free), 16))
                before = Counter(home[one] for one in free)
                taken = workers.take(k)
                assert len(set(taken)) == k
                assert set(taken) <= free
                free -= set(taken)
                self.check(before, [home[one] for one in taken], k)
            assert len(workers) == len(free)
            assert all((one in workers) == (one in free) for one in range(60))

    def check(self, before, hosts, k):
        """Compare with what a look at all hosts says."""
        enough = [count for count in before.values() if count >= k]
        if enough:
            assert len(set(hosts)) == 1
            assert before[hosts[0]] == min(enough)
            return
        least, fewest = 0, 0
        for count in sorted(before.values(), reverse=True):
            if least < k:
                least, fewest = least + count, fewest + 1
        assert len(set(hosts)) == fewest
        changes = sum(a != b for a, b in itertools.pairwise(hosts))
        assert changes == fewest - 1  # host by host
