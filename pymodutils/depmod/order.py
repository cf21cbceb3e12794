# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stage 4, order: put all modules in one order, list in it what each one needs, and find cycles.

Source: docs/behaviour/4-depmod.md, "Dependencies".
"""

from __future__ import annotations

from .errors import CycleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    InOrder = Callable[[int], Sequence[int]]
    """The direct dependencies of a module in the order of first need."""

    SortFreed = Callable[[int, list[int]], None]
    """Puts some direct dependencies of a module in the order of first need."""


def full_dependencies(
    dependencies: Sequence[Sequence[int]],
    names: Sequence[bytes],
    in_order: InOrder | None = None,
    sort_freed: SortFreed | None = None,
) -> list[list[int]]:
    """List all modules that each one needs, directly or not: users before what they use, so the last is loaded first.

    `dependencies` are the direct ones, in the order of first need; or in any, and `in_order` is asked where it matters.
    `sort_freed` puts only those in order that have to be. The indirect dependencies may be among the direct ones: the
    last module that needs another one, in whatever way, needs it directly. Raises `CycleError`.
    """
    in_order = in_order or dependencies.__getitem__
    order, users = topological_order(dependencies, in_order, sort_freed)
    if len(order) < len(dependencies):
        ordered = [in_order(module) if count else () for module, count in enumerate(users)]
        raise _cycle_error(ordered, names, users)
    rank = [0] * len(order)
    for place, module in enumerate(order):
        rank[module] = place
    full: list[set[int]] = [set()] * len(order)  # by place in the order: sets of places
    result: list[list[int]] = [[]] * len(order)
    for module in reversed(order):
        direct = dependencies[module]
        if not direct:
            continue
        places = {rank[other] for other in direct}
        places.update(*[full[place] for place in places])
        full[rank[module]] = places
        result[module] = [order[place] for place in sorted(places)]
    return result


def topological_order(
    dependencies: Sequence[Sequence[int]], in_order: InOrder, sort_freed: SortFreed | None = None
) -> tuple[list[int], list[int]]:
    """Return modules in topological order, users first; and how many users each still had when no module was free.

    The order of a module's dependencies matters only for those that it was the last to use: one module in fifty has
    more than one of them.
    """
    users = [0] * len(dependencies)
    for direct in dependencies:
        for other in direct:
            users[other] += 1
    free = [module for module, count in enumerate(users) if not count]
    order = []
    while free:
        module = free.pop()
        order.append(module)
        freed = []
        for other in dependencies[module]:
            users[other] -= 1
            if not users[other]:
                freed.append(other)
        if len(freed) > 1 and sort_freed:
            sort_freed(module, freed)
        elif len(freed) > 1:
            freed.sort(key=list(in_order(module)).index)
        free += freed
    return order, users


def _cycle_error(dependencies: Sequence[Sequence[int]], names: Sequence[bytes], users: Sequence[int]) -> CycleError:
    left = [module for module, count in enumerate(users) if count]
    groups = circular_groups(dependencies, left)
    cycles = [[names[module].decode("utf-8", "surrogateescape") for module in cycle] for cycle in
              find_cycles(dependencies, left, groups)]  # fmt: skip
    count = sum(map(len, groups))
    return CycleError(f"Found {count} modules in dependency cycles!", cycles)


def circular_groups(dependencies: Sequence[Sequence[int]], left: Sequence[int]) -> list[set[int]]:
    """Return the groups of modules each of which needs all others of it (Tarjan's strongly connected components)."""
    groups: list[set[int]] = []
    found: dict[int, int] = {}  # module -> when it was found
    lowest: dict[int, int] = {}
    trail: list[int] = []
    on_trail: set[int] = set()
    for start in left:
        if start in found:
            continue
        calls = [(start, iter(dependencies[start]))]
        found[start] = lowest[start] = len(found)
        trail.append(start)
        on_trail.add(start)
        while calls:
            module, rest = calls[-1]
            other = next(rest, None)
            if other is None:
                calls.pop()
                if calls:
                    lowest[calls[-1][0]] = min(lowest[calls[-1][0]], lowest[module])
                if lowest[module] == found[module]:
                    group = _cut(trail, module)
                    on_trail -= group
                    if len(group) > 1 or module in dependencies[module]:
                        groups.append(group)
            elif other not in found:
                found[other] = lowest[other] = len(found)
                trail.append(other)
                on_trail.add(other)
                calls.append((other, iter(dependencies[other])))
            elif other in on_trail:
                lowest[module] = min(lowest[module], found[other])
    return groups


def _cut(trail: list[int], module: int) -> set[int]:
    # Take `module` and everything after it off the trail.
    at = len(trail) - 1
    while trail[at] != module:
        at -= 1
    group = set(trail[at:])
    del trail[at:]
    return group


MAX_CYCLES = 100
"""Circles reported through one module; a tangle of n modules has more than 2^n."""

_MAX_STEPS = 10_000


def find_cycles(
    dependencies: Sequence[Sequence[int]], left: Sequence[int], groups: Sequence[set[int]]
) -> list[list[int]]:
    """Return circles through each module that is in none of those found before; each begins and ends with it."""
    group_of = {module: group for group in groups for module in group}
    seen: set[int] = set()
    cycles = []
    for root in left:
        if root in group_of and root not in seen:
            for cycle in _cycles_through(dependencies, root, group_of[root]):
                seen.update(cycle)
                cycles.append(cycle)
    return cycles


def _cycles_through(dependencies: Sequence[Sequence[int]], root: int, group: set[int]) -> list[list[int]]:
    # Circles through `root`, depth first and the last dependency first, as kmod reports them; at least one.
    cycles: list[list[int]] = []
    pending: list[tuple[int, ...]] = [(root,)]
    for _ in range(_MAX_STEPS):
        if not pending or len(cycles) == MAX_CYCLES:
            break
        path = pending.pop()
        if len(path) > 1 and path[-1] == root:
            cycles.append(list(path))
            continue
        for other in dependencies[path[-1]]:
            if other == root or (other in group and other not in path):
                pending.append((*path, other))
    return cycles or [_shortest_cycle(dependencies, root, group)]


def _shortest_cycle(dependencies: Sequence[Sequence[int]], root: int, group: set[int]) -> list[int]:
    came_from: dict[int, int] = {}
    layer = [root]
    while root not in came_from:
        reached = []
        for module in layer:
            for other in dependencies[module]:
                if other in group and other not in came_from:
                    came_from[other] = module
                    reached.append(other)
        layer = reached
    path = [root, came_from[root]]
    while path[-1] != root:
        path.append(came_from[path[-1]])
    return path[::-1]
