"""Mending what processes that died between two calls to a MongoDB server left behind.

FireWorks changes its documents call by call: the firework, its launch, the workflow, each on its own, under a lock
that is a field of the workflow. The embedded file needs none of this: whole methods are one transaction there.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from heterodft.workflows.queue.launchpad import EmbeddedLaunchPad

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fireworks.core.launchpad import LaunchPad

__all__ = ["sweep"]

_UNDER_WAY = ("RESERVED", "RUNNING")
_ENDED = ("COMPLETED", "FIZZLED")


class _Gap(NamedTuple):
    """Something half done: what, the number of the firework or launch, and what it looked like."""

    kind: str
    number: int
    look: str


def sweep(launchpad: LaunchPad, *, patience: float = 10.0) -> list[str]:
    """Mend what was left half done on a server; return what was mended, in words.

    What a living process is in the midst of looks the same, but not for long: only what stays as it is counts.

    Parameters
    ----------
    launchpad
        On the embedded file there is nothing to mend.
    patience
        Seconds between the two looks; nothing is waited for when the first one finds nothing.
    """
    if isinstance(launchpad, EmbeddedLaunchPad):
        return []
    seen = set(_gaps(launchpad))
    if not seen:
        return []
    time.sleep(patience)
    mended = [_mend(launchpad, gap) for gap in _gaps(launchpad) if gap in seen]
    # What was unlocked or cut may itself have been left in between.
    mended += [_mend(launchpad, gap) for gap in _gaps(launchpad) if mended and gap.kind == "state"]
    return mended


def _gaps(launchpad: LaunchPad) -> list[_Gap]:
    """Return what is half done, in the order in which it is to be mended."""
    wanted = {"_id": 0, "fw_id": 1, "state": 1, "launches": 1, "updated_on": 1}
    fireworks = {fw["fw_id"]: fw for fw in launchpad.fireworks.find({}, wanted)}
    workflows = list(launchpad.workflows.find({}, {"nodes": 1, "fw_states": 1, "locked": 1, "updated_on": 1}))
    launches = {d["launch_id"]: d for d in launchpad.launches.find({}, {"launch_id": 1, "fw_id": 1, "state": 1})}
    found = [*_gaps_of_workflows(workflows, fireworks), *_gaps_of_launches(launches, fireworks)]
    known = {node: workflow["fw_states"].get(str(node)) for workflow in workflows for node in workflow["nodes"]}
    for number, fw in sorted(fireworks.items()):
        states = [launches[i]["state"] for i in fw["launches"] if i in launches]
        if number not in known:
            found.append(_Gap("alone", number, fw["state"]))
        elif fw["state"] == "RESERVED" and not set(states) & set(_UNDER_WAY):
            found.append(_Gap("reserved", number, str(fw["updated_on"])))
        elif known[number] != fw["state"] or (fw["state"] == "RUNNING" and "RUNNING" not in states):
            found.append(_Gap("state", number, f"{known[number]} {fw['state']}"))
    return found


def _gaps_of_workflows(workflows: list[dict[str, Any]], fireworks: dict[int, Any]) -> Iterator[_Gap]:
    for workflow in workflows:
        if workflow.get("locked"):
            yield _Gap("locked", workflow["nodes"][0], str(workflow["updated_on"]))
        if any(node not in fireworks for node in workflow["nodes"]):
            yield _Gap("partial", workflow["nodes"][0], str(workflow["nodes"]))


def _gaps_of_launches(launches: dict[int, Any], fireworks: dict[int, Any]) -> Iterator[_Gap]:
    for number, launch in sorted(launches.items()):
        fw = fireworks.get(launch["fw_id"])
        if launch["state"] in _UNDER_WAY and (fw is None or (fw["state"] == "RESERVED" and not fw["launches"])):
            yield _Gap("launch", number, launch["state"])


def _mend(launchpad: LaunchPad, gap: _Gap) -> str:
    return f"{gap.number}: {_MEND[gap.kind](launchpad, gap.number)}"


def _unlock(launchpad: LaunchPad, fw_id: int) -> str:
    launchpad.workflows.update_one({"nodes": fw_id}, {"$unset": {"locked": 1}})
    return "its workflow stayed locked"


def _remove_launch(launchpad: LaunchPad, launch_id: int) -> str:
    launchpad.launches.delete_one({"launch_id": launch_id})
    return "a launch that never began"


def _put_back(launchpad: LaunchPad, fw_id: int) -> str:
    launchpad.fireworks.update_one({"fw_id": fw_id, "state": "RESERVED"}, {"$set": {"state": "WAITING"}})
    launchpad._refresh_wf(fw_id)
    return "reserved, but never launched"


def _refresh(launchpad: LaunchPad, fw_id: int) -> str:
    """Do again what follows from the state of the launch, so that the workflow and the next steps hear of it."""
    launchpad.fireworks.update_one({"fw_id": fw_id, "state": {"$in": _ENDED}}, {"$set": {"state": "RUNNING"}})
    launchpad._refresh_wf(fw_id)
    return "its end or its start was recorded in part"


def _remove_firework(launchpad: LaunchPad, fw_id: int) -> str:
    launchpad.fireworks.delete_one({"fw_id": fw_id})
    return "added without its workflow; submit its campaign again"


def _cut(launchpad: LaunchPad, fw_id: int) -> str:
    """Leave those steps in a workflow that came into the queue."""
    workflow = launchpad.workflows.find_one({"nodes": fw_id})
    there = {fw["fw_id"] for fw in launchpad.fireworks.find({"fw_id": {"$in": workflow["nodes"]}}, {"fw_id": 1})}
    if not there:
        launchpad.workflows.delete_one({"nodes": fw_id})
        return "a workflow without its steps; submit its campaign again"
    kept = {str(node) for node in there}
    links = {
        key: {node: [n for n in linked if n in there] for node, linked in workflow[key].items() if node in kept}
        for key in ("links", "parent_links")
    }
    states = {node: state for node, state in workflow["fw_states"].items() if node in kept}
    change = {**links, "fw_states": states}
    launchpad.workflows.update_one({"nodes": fw_id}, {"$set": change | {"nodes": sorted(there)}})
    return "a workflow without some of its steps; submit its campaign again"


_MEND = {
    "locked": _unlock,
    "partial": _cut,
    "launch": _remove_launch,
    "alone": _remove_firework,
    "reserved": _put_back,
    "state": _refresh,
}
