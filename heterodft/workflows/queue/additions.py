"""What a submission adds to the queue: new steps below those that they start from, and the next look of a driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fireworks import Firework, Workflow

from heterodft.workflows.queue.entries import TAKEN_OUT, UNFINISHED, Entries, Entry
from heterodft.workflows.queue.firetasks import RunCalculation
from heterodft.workflows.queue.launchpad import add_workflows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from fireworks.core.launchpad import LaunchPad

    from heterodft.workflows.calculation import Request

__all__ = ["Additions"]


class Additions:
    """New steps of a submission, not in the queue yet.

    Parameters
    ----------
    launchpad
        Of the queue.
    entries
        Of the queue; new steps are shown to later chains by them.
    stored
        Returns the folder of a path as the queue keeps it.
    command
        How to start pw.x for these, instead of the settings of the worker.
    """

    def __init__(self, launchpad: LaunchPad, entries: Entries, stored: Callable[[str], str], command: str | None):
        self.launchpad, self.command = launchpad, command
        self._entries, self._stored = entries, stored
        self._groups: list[tuple[int | None, list[Request]]] = []  # new steps, below an entry of the queue or none
        self._group_of: dict[str, list[Request]] = {}

    def note(self, new: Sequence[Request], queued: Mapping[str, Entry]) -> None:
        """Note new steps to be added below the steps that they start from, and show them to later chains.

        Parameters
        ----------
        new
            Of one chain.
        queued
            Entry of each step of it that is in the queue already.
        """
        roots: list[Request] = []
        for request in new:
            entry = queued.get(request.parent or "") or self._to_come(request.parent)
            group = self._group_of.get(request.parent or "")
            if group is None and entry is not None:
                group = []
                self._groups.append((entry.fw_id, group))
            elif group is None:
                if not roots:
                    self._groups.append((None, roots))
                group = roots
            group.append(request)
            self._group_of[request.id] = group
            self._entries.add(Entry(request.id, None, "WAITING", request.path, self._stored(request.path)))

    def _to_come(self, identity: str | None) -> Entry | None:
        """Return the entry of a step of another configuration that is in the queue and not finished."""
        entry = self._entries.find(identity)
        return entry if entry is not None and entry.fw_id is not None and entry.state in UNFINISHED else None

    def enqueue(self) -> None:
        """Add the new steps to the queue."""
        add_workflows(self.launchpad, [self._workflow(group) for parent, group in self._groups if parent is None])
        self._append()

    def enqueue_before(self, last: Firework, look: int, asked: Collection[str]) -> bool:
        """Add the new steps to the queue below the look that asks for them, and its next look behind them.

        Where all are in the queue already, the next look is added there, behind one that is not finished: it may run
        before the others are.

        Parameters
        ----------
        last
            The next look.
        look
            Number of the entry of the look that asks.
        asked
            Identities of all that is waited for.

        Returns
        -------
        bool
            False where there is nothing to wait for; the next look is not in the queue then.
        """
        self._append(tell_failures=True)
        groups = [self._fireworks(group, tell_failures=True) for parent, group in self._groups if parent is None]
        fireworks = [firework for group in groups for firework in group]
        if fireworks:
            for number, firework in enumerate([*fireworks, last], start=-len(fireworks) - 1):
                firework.fw_id = number
            above = {id(parent) for firework in fireworks for parent in firework.parents}
            last.parents = [firework for firework in fireworks if id(firework) not in above]
            self.launchpad.append_wf(Workflow([*fireworks, last]), [look])
            return True
        waiting = self._unfinished(asked)
        if waiting is not None:
            self.launchpad.append_wf(Workflow([last]), [waiting.fw_id])
        return waiting is not None

    def _append(self, *, tell_failures: bool = False) -> None:
        for parent, group in self._groups:
            if parent is not None:
                steps = self._fireworks(group, below=True, tell_failures=tell_failures)
                self.launchpad.append_wf(Workflow(steps), [parent])

    def _unfinished(self, asked: Collection[str]) -> Entry | None:
        """Return an entry of what was asked for that runs, or will."""
        entries = Entries(self.launchpad)
        found = [entry for identity in asked if (entry := entries.find(identity)) is not None]
        return next((e for e in found if e.state in UNFINISHED and not self._is_stuck(e)), None)

    def _is_stuck(self, entry: Entry) -> bool:
        """Tell whether an entry waits for one that failed or was taken out of the queue."""
        workflow = self.launchpad.workflows.find_one({"nodes": entry.fw_id}, {"links": 1, "fw_states": 1})
        ahead = [entry.fw_id] if entry.state == "WAITING" and workflow else []
        while ahead:
            number = ahead.pop()
            fw = self.launchpad.fireworks.find_one({"fw_id": number}, {"spec": 1})
            bad = TAKEN_OUT if fw["spec"].get("_allow_fizzled_parents") else (*TAKEN_OUT, "FIZZLED")
            above = [int(parent) for parent, children in workflow["links"].items() if number in children]
            if any(workflow["fw_states"][str(parent)] in bad for parent in above):
                return True
            ahead += [parent for parent in above if workflow["fw_states"][str(parent)] == "WAITING"]
        return False

    def _workflow(self, requests: Sequence[Request]) -> Workflow:
        first = requests[0]
        name = first.path.rpartition("/")[0]
        return Workflow(self._fireworks(requests), name=name, metadata={"campaign": first.about["campaign"]})

    def _fireworks(
        self, requests: Sequence[Request], *, below: bool = False, tell_failures: bool = False
    ) -> list[Firework]:
        """Return the entries of steps, which may be to go below one of the queue.

        To tell failures, those after a failed one fail as well instead of waiting.
        """
        fireworks: dict[str, Firework] = {}
        for number, request in enumerate(requests, start=-len(requests)):  # lowest first: ids are given in this order
            spec: dict[str, Any] = {"folder": self._stored(request.path), "calculation": request.id}
            if self.command is not None:
                spec["command"] = self.command
            parent = fireworks.get(request.parent or "")
            if tell_failures and (below or parent is not None):
                spec["_allow_fizzled_parents"] = True
            fireworks[request.id] = Firework(
                [RunCalculation()], spec=spec, name=request.path, parents=[parent] if parent else [], fw_id=number
            )
        return list(fireworks.values())
