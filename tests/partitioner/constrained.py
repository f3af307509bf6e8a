"""A second way to the front of latency and period, which shares nothing with the first but the nouns: the ε-constraint method.

The quickest chain of all, then the quickest of those with a shorter period than that, and so on until there is none.
"""

from itertools import pairwise

import numpy as np

CLIENT = "client"


class Chains:
    """All chains over devices in the given order of one instance, by shortest paths in numpy; media that links share are not known here."""

    def __init__(self, graph, cluster, profiles, order):
        self.positions = [0, *graph.candidates, len(graph.units)]
        self.names = list(order)
        self.cluster = cluster
        self.nbytes = np.array([graph.cuts[p].nbytes for p in self.positions], float)
        self.compute = {
            name: np.array([[profiles[name].compute_s(a, b)[0] if a < b else np.inf for b in self.positions] for a in self.positions])
            for name in self.names
        }

    def message(self, source, receiver, at):
        """Seconds of what crosses a position until it has arrived, on the link, and of the processors at both ends."""
        link = self.cluster.link(source, receiver)
        if link is None:
            return (np.inf,) * 4
        nbytes = self.nbytes[at]
        return link.transfer_s(int(nbytes)), nbytes / link.bytes_per_s, link.send_s(nbytes), link.receive_s(nbytes)

    def quickest(self, below):
        """(latency, period) of the quickest chain whose period is less than ``below``; None where there is none."""
        last, count = len(self.positions) - 1, len(self.names)
        # state: a stage of device d that begins at p with what s sent it
        best = np.full((last + 1, count + 1, count), np.inf)
        came = {}
        for d, name in enumerate(self.names):
            latency, link, _, _ = self.message(CLIENT, name, 0)
            best[0, count, d] = latency if link < below else np.inf
        for p in range(last):
            for d, name in enumerate(self.names):
                for s in range(count + 1):
                    if not np.isfinite(best[p, s, d]):
                        continue
                    received = self.message(CLIENT if s == count else self.names[s], name, p)[3]
                    for q in range(p + 1, last + 1):
                        busy = received + self.compute[name][p, q]
                        if busy >= below:
                            break
                        for e in [None] if q == last else range(d + 1, count):
                            latency, link, send, _ = self.message(name, CLIENT if e is None else self.names[e], q)
                            total = best[p, s, d] + self.compute[name][p, q] + latency
                            if link >= below or busy + send >= below:
                                continue
                            if e is None:
                                if total < came.get("end", (np.inf,))[0]:
                                    came["end"] = (total, p, s, d)
                            elif total < best[q, d, e]:
                                best[q, d, e] = total
                                came[q, d, e] = (p, s, d)
        if "end" not in came:
            return None
        latency, p, s, d = came["end"]
        steps = [(last, d, None), (p, s, d)]
        while steps[-1][0] or steps[-1][1] != count:
            p, s, _ = came[steps[-1]]
            steps.append((p, s, steps[-1][1]))
        return latency, self.period(steps[::-1])

    def period(self, steps):
        """The largest load of a path of states."""
        loads = []
        for (p, s, d), (q, _, e) in pairwise(steps):
            name = self.names[d]
            source, receiver = CLIENT if s == len(self.names) else self.names[s], CLIENT if e is None else self.names[e]
            _, link_in, _, receive = self.message(source, name, p)
            _, link_out, send, _ = self.message(name, receiver, q)
            loads += [link_in, link_out, receive + self.compute[name][p, q] + send]
        return max(loads)


def constrained_front(graph, cluster, profiles, order):
    """Every point of the front of latency and period over chains."""
    search, points, below = Chains(graph, cluster, profiles, order), [], np.inf
    while (found := search.quickest(below)) is not None:
        points.append(found)
        below = found[1]
    return [point for i, point in enumerate(points) if i + 1 == len(points) or points[i + 1][0] > point[0]]
