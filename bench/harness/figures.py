"""Medians, spreads, and the interval of a median: order statistics, so nothing is assumed of how
measurements scatter."""

import math
import statistics

CONFIDENCE = 0.90


def shown(value):
    """Three digits, or all before the point."""
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def median(values):
    return statistics.median(values)


def coverage(count, rank):
    """The chance that the median lies between the rank-th smallest and the rank-th largest of `count`."""
    return 1 - 2 * sum(math.comb(count, i) for i in range(rank)) / 2 ** count


def interval(values):
    """(low, high, confidence): the narrowest pair of order statistics that holds the median with
    CONFIDENCE; of few values it is the smallest and the largest, with what these are good for."""
    ordered = sorted(values)
    rank = 1
    while 2 * (rank + 1) <= len(ordered) and coverage(len(ordered), rank + 1) >= CONFIDENCE:
        rank += 1
    return ordered[rank - 1], ordered[-rank], coverage(len(ordered), rank)


def summary(values):
    low, high, sure = interval(values)
    return {"median": median(values), "low": low, "high": high, "confidence": sure,
            "least": min(values), "most": max(values), "rounds": len(values)}


def paired_ratio(values, others):
    """Of two servers that were measured in the same rounds, each round gives a ratio; {round: value}."""
    rounds = sorted(values.keys() & others.keys())
    ratios = [values[i] / others[i] for i in rounds if others[i] > 0]
    return summary(ratios) if ratios else None
