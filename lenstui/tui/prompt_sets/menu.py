"""What can be done with the highlighted prompt of a set, and why some of it cannot be done now."""

from __future__ import annotations

from collections.abc import Mapping

from lenstui.jobs.set_messages import ReadCase
from lenstui.tui.prompt_sets.export import SetExport
from lenstui.tui.prompt_sets.reading import SetReader
from lenstui.tui.prompt_sets.state import SetState
from lenstui.tui.services import Services
from lenstui.tui.shared.nothing_yet import NO_PROMPT, NO_PROMPTS

NO_GROUPS = "These prompts are in no groups."
NO_SCORES = "These prompts have no outlier scores: o names the file of a reference set."


def why_no_cases(state: SetState) -> str:
    """Return that no case was read; nothing where one was."""
    return "" if state.run is not None and state.run.cases else NO_PROMPTS


def why_no_groups(state: SetState) -> str:
    """Return why no group can be shown alone; nothing where one can."""
    return why_no_cases(state) or ("" if state.run is not None and state.run.groups else NO_GROUPS)


def why_not_open(state: SetState, case: ReadCase | None) -> str:
    """Return why Explore cannot read the highlighted case; nothing where it can."""
    if reason := why_no_cases(state):
        return reason
    if case is None:
        return "No prompt is shown: esc ends the filter."
    return "" if case.readout.case.text else "The prompt is empty."


def why_not_beside(state: SetState, case: ReadCase | None, services: Services) -> str:
    """Return why the highlighted case cannot go beside Explore's prompt; nothing where it can."""
    if case is not None and case.readout.case.turns is not None:
        return "It is of turns, which stand alone in Explore: only a text goes beside another prompt."
    return why_not_open(state, case) or ("" if services.shown_prompt is not None else NO_PROMPT)


def why_not_normal(state: SetState, case: ReadCase | None) -> str:
    """Return why the group of a case cannot be the normal one; nothing where it can."""
    run = state.run
    if run is None or not run.cases:
        return NO_PROMPTS
    if run.outliers is None:
        return NO_SCORES
    if not run.groups:
        return NO_GROUPS
    if case is None or case.line.group is None:
        return "This prompt is in no group."
    if not any(each.line.scores for each in run.cases if each.line.group == case.line.group):
        return "No prompt of this group has scores."
    return ""


def menu_of(
    state: SetState, case: ReadCase | None, services: Services, export: SetExport, reader: SetReader
) -> Mapping[str, str]:
    """Return the menu of the highlighted case: by binding id, why it cannot be done now, or nothing."""
    no_cases, not_exported = why_no_cases(state), export.why_not()
    return {
        "prompts.open": why_not_open(state, case),
        "prompts.beside": why_not_beside(state, case, services),
        "prompts.filter": "",
        "prompts.sort": no_cases,
        "prompts.reverse": no_cases,
        "prompts.group": why_no_groups(state),
        "prompts.value": "",
        "prompts.rows": "",
        "prompts.above": "",
        "prompts.against": "",
        "prompts.outliers": "",
        "prompts.normal": why_not_normal(state, case),
        "prompts.export": not_exported,
        "prompts.keep": not_exported,
        "prompts.copy_command": not_exported,
        "prompts.stop": reader.why_not_stop(),
        "prompts.file": "",
    }
