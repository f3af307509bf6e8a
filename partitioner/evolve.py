"""Evolves choices whose costs do not add up, or can only be had by measuring: splits, precisions, codecs, batches and subnets together.

pymoo's NSGA-II (NSGA-III from four objectives on) over named variables, each with the values that it may take. It begins with
what is known to be good, such as the plans of exact fronts, and remembers every evaluation, so that a search that was broken
off goes on, and what was measured once is not measured again.

    seeds ─▶ population ─▶ evaluate ─▶ survive ─▶ cross and mutate ─┐
                 ▲                                                  │
                 └──────────────────────────────────────────────────┘
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgekit.errors import UsageError
from edgekit.files import write_bytes
from edgekit.progress import Tell, silent
from partitioner.solve.dominance import front

__all__ = ["Choice", "Found", "Space", "evolve"]

Value = str | int | float
Choice = Mapping[str, Value]
Space = Mapping[str, Sequence[Value]]
"""The values that each variable may take; those of a ``range`` are in order, and what lies between two of them is tried."""

Evaluate = Callable[[Choice], Sequence[float] | None]
"""What a choice costs in each objective; None: it cannot be."""

Apply = Callable[[Evaluate, list[Choice]], Iterable[Sequence[float] | None]]
MANY = 4
"""From so many objectives on NSGA-III spreads the population."""

IMPOSSIBLE = 1e30


class Found(NamedTuple):
    """A choice that no other that was tried beats, and what it costs."""

    choice: dict[str, Value]
    costs: tuple[float, ...]


def evolve(
    space: Space,
    evaluate: Evaluate,
    objectives: int,
    *,
    seeds: Iterable[Choice] = (),
    evaluations: int = 2000,
    population: int = 64,
    seed: int = 0,
    workers: int = 1,
    ray: str | None = None,
    memory: Path | None = None,
    tell: Tell = silent,
) -> list[Found]:
    """The best choices of ``evaluations`` different ones, sorted by the first objective.

    Args:
        seeds: choices to begin with.
        workers: processes that evaluate; ``evaluate`` then has to be a function of a module.
        ray: address of a Ray cluster whose processes evaluate instead, or ``local`` for one of this machine's own; files that
            ``evaluate`` reads have to be there by the same paths.
        memory: a JSON file that keeps every evaluation; what it holds already counts as made.

    Raises:
        UsageError: a variable has no value, a seed one that is not among them, or pymoo (or ray) is not installed.
    """
    remembered = _Memory(space, memory)
    starts = [remembered.checked(choice) for choice in seeds]
    with ExitStack() as stack:
        algorithm = _algorithm(space, objectives, starts, population, seed)
        apply = _apply(workers, ray, stack)
        stale = 0
        while len(remembered.known) < evaluations and stale < population:  # a small space is exhausted at some time
            before = len(remembered.known)
            asked = algorithm.ask()
            if asked is None:  # crossing and mutating give nothing that is new
                break
            choices = [{name: space[name][index] for name, index in zip(space, row, strict=True)} for row in _rows(asked, space)]
            remembered.evaluate(choices, evaluate, apply)
            costs = [remembered.costs(choice) for choice in choices]
            asked.set("F", np.array([[IMPOSSIBLE] * objectives if cost is None else cost for cost in costs], np.float64))
            algorithm.tell(infills=asked)
            stale = 0 if len(remembered.known) > before else stale + 1
            count = len(remembered.known)
            tell(f"{count} choices of {evaluations} or a few more, the best {len(remembered.best())} kept", count, evaluations)
    return remembered.best()


class _Memory:
    """Every evaluation that was made, in memory and in a file."""

    def __init__(self, space: Space, path: Path | None):
        if empty := [name for name, values in space.items() if not len(values)]:
            raise UsageError(f"{', '.join(empty)} may take no value at all; name one")
        self._space, self._path = space, path
        self.known: dict[tuple[Value, ...], tuple[float, ...] | None] = {}
        if path is not None and path.is_file():
            for choice, costs in json.loads(path.read_text()):
                self.known[tuple(choice)] = None if costs is None else tuple(costs)

    def checked(self, choice: Choice) -> dict[str, Value]:
        """A seed whose variables have values that they may take."""
        for name, values in self._space.items():
            if name not in choice or choice[name] not in values:
                raise UsageError(f"a seed has {name} = {choice.get(name)!r}, expected one of {list(values)[:8]}; correct it")
        return {name: choice[name] for name in self._space}

    def costs(self, choice: Choice) -> tuple[float, ...] | None:
        return self.known[tuple(choice.values())]

    def evaluate(self, choices: list[dict[str, Value]], evaluate: Evaluate, apply: Apply) -> None:
        """Evaluate those that were not yet."""
        new: dict[tuple[Value, ...], Choice] = {tuple(choice.values()): choice for choice in choices}
        asked = {key: choice for key, choice in new.items() if key not in self.known}
        for key, costs in zip(asked, apply(evaluate, list(asked.values())), strict=True):
            self.known[key] = None if costs is None else tuple(map(float, costs))
        if self._path is not None and asked:
            write_bytes(self._path, json.dumps(list(self.known.items())).encode())

    def best(self) -> list[Found]:
        """The evaluations that no other beats."""
        possible = [(key, costs) for key, costs in self.known.items() if costs is not None]
        if not possible:
            return []
        kept = front(np.array([costs for _, costs in possible], np.float64)).tolist()
        found = [Found(dict(zip(self._space, possible[i][0], strict=True)), possible[i][1]) for i in kept]
        return sorted(found, key=lambda each: each.costs)


def _algorithm(space: Space, objectives: int, starts: list[dict[str, Value]], population: int, seed: int) -> Any:
    try:
        from pymoo.algorithms.moo.nsga2 import RankAndCrowdingSurvival
        from pymoo.algorithms.moo.nsga3 import ReferenceDirectionSurvival
        from pymoo.core.mixed import MixedVariableGA, MixedVariableSampling
        from pymoo.core.population import Population
        from pymoo.core.problem import Problem
        from pymoo.core.variable import Choice as Any_
        from pymoo.core.variable import Integer
        from pymoo.util.ref_dirs import get_reference_directions
    except ImportError as error:
        raise UsageError("evolving choices needs pymoo; run: pip install 'edgekit[search]'") from error
    variables = {
        name: Integer(bounds=(0, len(values) - 1)) if isinstance(values, range) else Any_(options=list(range(len(values))))
        for name, values in space.items()
    }
    problem = Problem(vars=variables, n_obj=objectives)
    rows = [{name: list(space[name]).index(choice[name]) for name in space} for choice in starts][:population]
    drawn = MixedVariableSampling()(problem, max(population - len(rows), 1), random_state=np.random.default_rng(seed))
    first = Population.merge(Population.new(X=np.array(rows, dtype=object)), drawn) if rows else drawn
    survival = RankAndCrowdingSurvival()
    if objectives >= MANY:
        survival = ReferenceDirectionSurvival(get_reference_directions("energy", objectives, population, seed=seed))
    algorithm = MixedVariableGA(pop_size=population, sampling=first, survival=survival)
    algorithm.setup(problem, termination=("n_gen", 10**9), seed=seed, verbose=False)
    return algorithm


def _rows(population: Any, space: Space) -> list[list[int]]:
    return [[int(individual.X[name]) for name in space] for individual in population]


def _apply(workers: int, ray: str | None, stack: ExitStack) -> Apply:
    """How a batch is evaluated: here, in processes, or on a cluster."""
    if ray is not None:
        return _on_ray(ray, stack)
    if workers > 1:
        pool = stack.enter_context(ProcessPoolExecutor(workers))
        return lambda evaluate, choices: pool.map(evaluate, choices)
    return lambda evaluate, choices: map(evaluate, choices)


def _on_ray(address: str, stack: ExitStack) -> Apply:
    try:
        import ray
    except ImportError as error:
        raise UsageError("--ray needs Ray; run: pip install 'edgekit[ray]'") from error
    ray.init(address=address, log_to_driver=False)
    stack.callback(ray.shutdown)
    called = ray.remote(_called)

    def apply(evaluate: Evaluate, choices: list[Choice]) -> Iterable[Sequence[float] | None]:
        kept = ray.put(evaluate)  # sent to each machine once
        found: list[Sequence[float] | None] = ray.get([called.remote(kept, choice) for choice in choices])
        return found

    return apply


def _called(evaluate: Evaluate, choice: Choice) -> Sequence[float] | None:
    return evaluate(choice)
