"""A connection to this host whose measurements are repeated until some part of each was undisturbed.

The lowest tenth of a network's runs, and the fastest runs with the profiler on, are then those that nothing else slowed down.
"""

import threading
import time
from pathlib import Path

__all__ = ["Calm"]

CALM_CORES, CALM_SHARE, TRIES, PATIENCE_S, LOOK_S = 0.25, 0.25, 4, 2.0, 0.05


def busy_s():
    """Processor seconds that all programs together have used since the machine started."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    return (sum(map(int, words)) - int(words[3]) - int(words[4])) / 100


class Calm:
    """Passes everything on to a connection; ``measure`` waits for calm, and is repeated if that did not last.

    A stage process on one thread keeps one core busy: what is used beyond that, in the time of the runs that are told of, is
    somebody else's doing. Every twentieth of a second is looked at by itself.
    """

    def __init__(self, connection, threads=1):
        self._connection, self._threads = connection, threads
        self._seen = [(time.perf_counter(), busy_s())]
        self.measured = self.repeated = self.disturbed = 0
        threading.Thread(target=self._look, daemon=True).start()

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def _look(self):
        while True:
            time.sleep(LOOK_S)
            self._seen = [*self._seen[-3000:], (time.perf_counter(), busy_s())]

    def calm_share(self, begin, end, own):
        """The share of that time in which no more than ``own`` cores were in use."""
        inside = [seen for seen in self._seen if begin - LOOK_S <= seen[0] <= end + LOOK_S]
        cores = [(after[1] - before[1]) / (after[0] - before[0]) for before, after in zip(inside, inside[1:], strict=False)]
        return sum(each < own + CALM_CORES for each in cores) / max(1, len(cores))

    def measure(self, request):
        best, most = None, -1.0
        self.measured += 1
        for _ in range(TRIES):
            patience = time.perf_counter() + PATIENCE_S
            while self.calm_share(time.perf_counter() - 0.3, time.perf_counter(), 0) < 0.5 and time.perf_counter() < patience:
                time.sleep(LOOK_S)
            answer = self._connection.measure(request)
            end = time.perf_counter()
            share = self.calm_share(end - sum(answer[0].samples_s), end, self._threads)
            if share > most:
                best, most = answer, share
            if share >= CALM_SHARE:
                break
            self.repeated += 1
        self.disturbed += most < CALM_SHARE
        return best
