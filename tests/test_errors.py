from __future__ import annotations

import inspect
import re

import pytest

from heterodft import errors

TREE = {
    "CampaignError": ("HeterodftError", "ValueError"),
    "SettingsError": ("HeterodftError", "ValueError"),
    "StructureError": ("HeterodftError", "ValueError"),
    "InputError": ("HeterodftError", "ValueError"),
    "PseudopotentialError": ("InputError",),
    "ProgramNotFoundError": ("HeterodftError", "FileNotFoundError"),
    "StorageError": ("HeterodftError", "OSError"),
    "QueueError": ("HeterodftError", "RuntimeError"),
    "CalculationError": ("HeterodftError", "RuntimeError"),
    "InterruptedCalculation": ("CalculationError",),
    "CancelledCalculation": ("InterruptedCalculation",),
    "ReaderError": ("HeterodftError", "ValueError"),
}


def test_the_public_names_are_pinned():
    assert sorted(errors.__all__) == sorted([*TREE, "HeterodftError", "did_you_mean"])


def test_each_error_refines_its_builtin():
    classes = dict(inspect.getmembers(errors, inspect.isclass))
    assert {name: tuple(base.__name__ for base in classes[name].__bases__) for name in TREE} == TREE


def test_the_tree_drawn_on_top_is_the_tree_of_the_classes():
    drawn, above = {}, []
    for line in errors.__doc__.splitlines():
        if match := re.match(r"((?:│   |    )*)[├└]── (\w+)(?: \((\w+)\))?", line):
            indent, name, builtin = match.groups()
            above = [*above[: len(indent) // 4], name]
            drawn[name] = (above[-2],) if indent else ("HeterodftError", builtin)
    assert drawn == TREE


@pytest.mark.parametrize("name", sorted(TREE))
def test_the_text_of_an_error_is_its_message(name):
    error = getattr(errors, name)("runs/demo: disk full; free some space")
    assert str(error) == "runs/demo: disk full; free some space"
    assert isinstance(error, errors.HeterodftError)


def test_a_near_match_is_suggested():
    assert errors.did_you_mean("layer", ["layers", "material"]) == "; did you mean 'layers'?"


def test_the_choices_are_listed_when_nothing_is_near():
    assert errors.did_you_mean("xyz", iter(["b", "a", "b"])) == "; known: a, b"
    assert errors.did_you_mean("xyz", []) == ""
