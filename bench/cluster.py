#!/usr/bin/python3
"""How far one cache of many nodes goes: nodes behind a balancer that hashes, simulated.

    bench/cluster.py [--requests 100000] [--json FILE]

The balancer's hash is HAProxy's as conf/haproxy.cfg.example has it: the URI by sdbm and avalanche, a ring of 16 points
for each unit of weight, the nearer of two neighbours; tests/functional/test_haproxy.py compares it with the real one. The
traffic is Zipf's. Each node is an LRU of its share of the entries, which is less than the store's own eviction reaches.
What is told: how even the shares are, how many requests are hits beside one cache of the same size in all, what a node
that is lost and a rolling restart cost in requests to origins, and how the hottest key is spread when the load is bounded.
"""

import argparse
import bisect
import collections
import heapq
import itertools
import json
import random
import sys

WORD = 0xFFFFFFFF
POINTS_PER_WEIGHT, IDS_PER_SERVER = 16, 4096
NODES = (3, 10, 30, 100, 300)
OBJECTS, EXPONENT, ENTRIES_SHARE = 200000, 0.9, 0.1


def avalanche(a):
    a = (a + 0x7ED55D16 + (a << 12)) & WORD
    a = (a ^ 0xC761C23C ^ (a >> 19)) & WORD
    a = (a + 0x165667B1 + (a << 5)) & WORD
    a = ((a + 0xD3A2646C) ^ (a << 9)) & WORD
    a = (a + 0xFD7046C5 + (a << 3)) & WORD
    a = (a ^ 0xB55A4F09 ^ (a >> 16)) & WORD
    return a * 3221225473 & WORD


def hash_of(uri):
    value = 0
    for byte in uri.encode():
        value = (byte + (value << 6) + (value << 16) - value) & WORD
    return avalanche(value)


class Ring:
    """Nodes by their id, each with a weight."""

    def __init__(self, ids, weight=100):
        self.points = sorted((avalanche(node * IDS_PER_SERVER + point), node)
                             for node in ids for point in range(weight * POINTS_PER_WEIGHT))
        self.keys = [key for key, _ in self.points]

    def nearest(self, value):
        """The place on the ring of the nearer neighbour."""
        after = bisect.bisect_left(self.keys, value) % len(self.keys)
        before = (after - 1) % len(self.keys)
        return before if (value - self.keys[before]) & WORD <= (self.keys[after] - value) & WORD else after

    def node(self, value, allowed=lambda node: True):
        """The first that is allowed, from there on."""
        start = self.nearest(value)
        for step in range(len(self.points)):
            node = self.points[(start + step) % len(self.points)][1]
            if allowed(node):
                return node
        return self.points[start][1]


class Lru(collections.OrderedDict):
    def __init__(self, room):
        super().__init__()
        self.room = room

    def ask(self, key):
        """Is it a hit?"""
        if key in self:
            self.move_to_end(key)
            return True
        self[key] = True
        if len(self) > self.room:
            self.popitem(last=False)
        return False


class Cluster:
    def __init__(self, count, hashes):
        self.hashes = hashes
        self.room = max(1, int(OBJECTS * ENTRIES_SHARE / count))
        self.nodes = {node: Lru(self.room) for node in range(1, count + 1)}
        self.place(self.nodes)

    def place(self, ids):
        ring = Ring(ids)
        self.homes = [ring.node(value) for value in self.hashes]

    def misses(self, trace):
        return sum(not self.nodes[self.homes[key]].ask(key) for key in trace)


def traffic(requests, seed=204):
    """Keys by popularity, the first the most popular."""
    weights = list(itertools.accumulate((n + 1) ** -EXPONENT for n in range(OBJECTS)))
    return random.Random(seed).choices(range(OBJECTS), cum_weights=weights, k=requests)


def shares(cluster, trace):
    """Of keys and of requests: the largest as a multiple of the mean."""
    count = len(cluster.nodes)
    keys = collections.Counter(cluster.homes)
    asked = collections.Counter(cluster.homes[key] for key in trace)
    hottest = collections.Counter(trace).most_common(1)[0][1]
    return {"keys_max": max(keys.values()) * count / len(cluster.homes), "requests_max": max(asked.values()) * count / len(trace),
            "hottest_key": hottest * count / len(trace)}


def lost_node(count, hashes, trace):
    """Requests to origins beyond those of an undisturbed cluster: one node goes, and comes back with its store."""
    third = len(trace) // 3
    parts = trace[:third], trace[third:2 * third], trace[2 * third:]
    calm, hurt = Cluster(count, hashes), Cluster(count, hashes)
    for cluster in (calm, hurt):
        cluster.misses(parts[0])
    before, lost = list(hurt.homes), 1
    hurt.place([node for node in hurt.nodes if node != lost])
    moved = sum(old != new for old, new in zip(before, hurt.homes))
    away = hurt.misses(parts[1]) - calm.misses(parts[1])
    hurt.homes = before
    back = hurt.misses(parts[2]) - calm.misses(parts[2])
    return {"moved_keys": moved / len(before), "own_keys": before.count(lost) / len(before),
            "away": away / third, "back": back / third}


def rolling(count, hashes, trace):
    """Each node is away for a thousandth of the traffic, one after the other; an upgrade in place takes none away."""
    warm, rest = trace[:len(trace) // 2], trace[len(trace) // 2:]
    calm, rolled = Cluster(count, hashes), Cluster(count, hashes)
    calm.misses(warm)
    rolled.misses(warm)
    home, span = list(rolled.homes), max(1, len(rest) // 1000)
    chosen = list(rolled.nodes)[:min(count, 30)]  # of more nodes the first, since each costs the same
    extra = at = 0
    for node in chosen:
        piece = rest[at:at + span]
        at += span
        rolled.place([other for other in rolled.nodes if other != node])
        extra += rolled.misses(piece)
        rolled.homes = home
    extra -= calm.misses(rest[:at])
    return {"restart_extra": extra / len(chosen) / span}


def hot_key(count, factor, requests, seed=1):
    """The share of the busiest node, as a multiple of the mean, when a tenth of all requests is for one key.

    Requests come at random and take as long as each other; so many are under way that a node has 8 of them.
    With a factor, no node has more than so many per cent of the mean.
    """
    ring, rng = Ring(range(1, count + 1)), random.Random(seed)
    served, ends, total = collections.Counter(), [], collections.Counter()
    hot = hash_of("http://hot.example/")
    spread = set()
    for n in range(requests):
        now = n / (8 * count)
        while ends and ends[0][0] <= now:
            served[heapq.heappop(ends)[1]] -= 1
        slots = -(-(len(ends) + 1) * factor // (100 * count)) if factor else None
        is_hot = rng.random() < 0.1
        node = ring.node(hot if is_hot else rng.getrandbits(32), lambda node: slots is None or served[node] < max(1, slots))
        if is_hot:
            spread.add(node)
        served[node] += 1
        total[node] += 1
        heapq.heappush(ends, (now + 1, node))
    return {"busiest": max(total.values()) * count / requests, "hot_on": len(spread)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=100000)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    trace = traffic(arguments.requests)
    hashes = [hash_of(f"http://tiles.example/{key % 20}/{key}?v=1") for key in range(OBJECTS)]
    one = Lru(int(OBJECTS * ENTRIES_SHARE))
    of_one = 1 - sum(not one.ask(key) for key in trace) / len(trace)
    found = []
    for count in NODES:
        print(f"cluster: {count} nodes", file=sys.stderr)
        cluster = Cluster(count, hashes)
        row = {"nodes": count, **shares(cluster, trace), "hits": 1 - cluster.misses(trace) / len(trace), "hits_of_one": of_one,
               **lost_node(count, hashes, trace), **rolling(count, hashes, trace)}
        for name, factor in (("unbounded", 0), ("bounded", 150)):
            row.update({f"{name}_{key}": value for key, value in hot_key(count, factor, 40000).items()})
        found.append(row)
    print(f"{len(trace):,} requests for {OBJECTS:,} URIs, Zipf {EXPONENT}; entries for {100 * ENTRIES_SHARE:.0f} % of the URIs in all\n")
    print("| Nodes | most keys ÷ mean | most requests ÷ mean | hits, one cache | hits, nodes | keys moved by a loss (own) |"
          " origin requests while it is lost | when it is back | of a restarted node, while away |"
          " busiest node with a hot key | the same, bounded | nodes that have it then |")
    print("|" + "---:|" * 12)
    for row in found:
        print(f"| {row['nodes']} | {row['keys_max']:.2f} | {row['requests_max']:.2f} | {100 * row['hits_of_one']:.1f} % |"
              f" {100 * row['hits']:.1f} % | {100 * row['moved_keys']:.2f} ({100 * row['own_keys']:.2f}) % |"
              f" {100 * row['away']:+.2f} % | {100 * row['back']:+.2f} % | {100 * row['restart_extra']:+.2f} % |"
              f" {row['unbounded_busiest']:.2f} | {row['bounded_busiest']:.2f} | {row['bounded_hot_on']} |")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
