"""The keys of Explore, in the order of the footer and of the list of keys.

A key calls a method of one of Explore's parts: `do('pins', 'toggle')` is `Pins.toggle` in `pins.py`.
"""

from __future__ import annotations

from textual.binding import Binding, BindingType

KEYS: list[BindingType] = [
    Binding(
        "question_mark", "app.show_keys", "Help", key_display="?", id="app.help",
        tooltip="All keys by topic, and what the words mean",
    ),
    Binding(
        "space", "do('menu', 'open')", "Menu", tooltip="What can be done with this cell, or pin",
        id="explore.menu",
    ),
    Binding(
        "i", "do('turns', 'edit_prompt')", "Prompt", tooltip="Edit the prompt: its text, or its turns",
        id="explore.prompt",
    ),
    Binding(
        "I", "do('turns', 'edit')", "Turns", show=False, id="explore.turns",
        tooltip="The prompt as turns of a chat: system, user, assistant",
    ),
    Binding(
        "v", "do('appearance', 'next_value', 1)", "Value", tooltip="Colour by the next value",
        id="explore.value",
    ),
    Binding(
        "V", "do('appearance', 'next_value', -1)", "Value back", show=False,
        tooltip="Colour by the value before", id="explore.value_back",
    ),
    Binding(
        "p", "do('pins', 'toggle')", "Pin", show=False, tooltip="Pin the cell's token, or unpin it",
        id="explore.pin",
    ),
    Binding(
        "right_square_bracket", "do('appearance', 'deepen', 1)", "Taller", key_display="]", show=False,
        tooltip="Taller rows: more of the top tokens", id="explore.taller",
    ),
    Binding(
        "left_square_bracket", "do('appearance', 'deepen', -1)", "Flatter", key_display="[", show=False,
        tooltip="Flatter rows: fewer of the top tokens", id="explore.flatter",
    ),
    Binding(
        "number_sign", "do('appearance', 'next_contents')", "Numbers", key_display="#", show=False,
        tooltip="Tokens, numbers or both in the cells", id="explore.contents",
    ),
    Binding(
        "r", "do('appearance', 'flip')", "Flip", show=False, tooltip="Last row on top, or at the bottom",
        id="explore.flip",
    ),
    Binding(
        "tab", "do('comparison', 'go_to_next')", "Next side", show=False, tooltip="Go to the next side",
        id="explore.other",
    ),
    Binding("t", "app.train", "Train", tooltip="Train a lens for the open model", id="app.train"),
    Binding(
        "E", "app.evaluate", "Evaluate", show=False, id="app.evaluate",
        tooltip="Evaluate lenses on a text: KL, calibration and more by row",
    ),
    Binding("o", "app.show_lenses", "Lenses", tooltip="Choose, open and save lenses", id="app.lenses"),
    Binding(
        "O", "do('instant', 'make')", "Instant lens", show=False, id="explore.instant",
        tooltip="Make an instant lens: closed form, within a minute or so",
    ),
    Binding("m", "app.open_model", "Model", tooltip="Open another model", id="app.model"),
    Binding(
        "less_than_sign", "app.step_revision(-1)", "Revision back", key_display="<", show=False,
        tooltip="The revision before, of those on this machine", id="app.revision_back",
    ),
    Binding(
        "greater_than_sign", "app.step_revision(1)", "Next revision", key_display=">", show=False,
        tooltip="The next revision of the model on this machine", id="app.revision_next",
    ),
    Binding(
        "colon", "app.command_palette", "Commands", key_display=":", show=False,
        tooltip="Command palette: every action by name", id="app.commands",
    ),
    Binding("q", "app.quit", "Quit", id="app.quit"),
    Binding(
        "enter", "do('cell', 'open')", "Top tokens", show=False, key_display="enter", id="explore.open_cell",
        tooltip="The cell's likeliest tokens, on every side, in full",
    ),
    Binding(
        "M", "do('comparison', 'choose_model')", "Compare", show=False, id="explore.beside",
        tooltip="Another model on the active side",
    ),
    Binding(
        "B", "do('comparison', 'ask_for_prompt')", "Second prompt", show=False, id="explore.second_prompt",
        tooltip="Another prompt on the active side",
    ),
    Binding(
        "w", "do('explanation', 'open')", "Why", show=False, id="explore.why",
        tooltip="What wrote this cell's token: blocks, attention heads, and what they read",
    ),
    Binding(
        "W", "do('comparison', 'edit')", "What if", show=False, id="explore.edit",
        tooltip="Edits of the active side: ablate, patch, and the effect beside",
    ),
    Binding(
        "T", "do('tracing', 'ask')", "Trace", show=False, id="explore.trace",
        tooltip="Causal trace: patch a clean run into a corrupted one, part by part",
    ),
    Binding(
        "L", "do('comparison', 'next_lens')", "Next lens", show=False, id="explore.other_kind",
        tooltip="Another lens on the active side",
    ),
    Binding(
        "plus", "do('comparison', 'add_side')", "Add a side", key_display="+", show=False,
        id="explore.add_side", tooltip="One more side, up to three",
    ),
    Binding(
        "minus", "do('comparison', 'take_away')", "Remove side", key_display="-", show=False,
        id="explore.remove_side", tooltip="Remove the active side",
    ),
    Binding(
        "d", "do('comparison', 'toggle_difference')", "Difference", show=False, id="explore.difference",
        tooltip="The active side minus the first, or the second minus it; and back",
    ),
    Binding(
        "x", "do('export', 'ask')", "Export", show=False, id="explore.export",
        tooltip="Export tokens and numbers, or a figure, to a file or the clipboard",
    ),
    Binding(
        "K", "do('export', 'keep')", "Keep", show=False, id="explore.keep",
        tooltip="Keep the view in the notebook of lenstui report",
    ),
    Binding(
        "y", "do('export', 'copy_cell')", "Copy tokens", show=False, id="explore.copy_cell",
        tooltip="Copy the cell's likeliest tokens",
    ),
    Binding(
        "Y", "do('export', 'copy_command')", "Copy command", show=False, id="explore.copy_command",
        tooltip="Copy the command that reads the same",
    ),
    Binding(
        "a", "do('growth', 'append')", "Append", show=False, id="explore.append",
        tooltip="Append the cell's likeliest token to the prompt",
    ),
    Binding(
        "G", "do('growth', 'generate')", "Generate", show=False, id="explore.generate",
        tooltip="Let the model, or the row under the cursor, go on",
    ),
    Binding(
        "backspace,U", "do('growth', 'step_back')", "Step back", show=False, id="explore.step_back",
        tooltip="Remove the last appended token",
    ),
    Binding(
        "escape", "do('scanned', 'leave')", "Stop", show=False, id="explore.stop",
        tooltip="Stop generating, or a download; from a scanned position, back to its table",
    ),
    Binding(
        "F", "do('first_row', 'ask')", "First row", show=False, id="explore.first_row",
        tooltip="Find the first row with a word, or the cell's token, on top",
    ),
    Binding(
        "slash", "do('find', 'ask')", "Find", key_display="/", show=False, id="explore.find",
        tooltip="Find a token among the columns",
    ),
    Binding(
        "n", "do('find', 'go_on', 1)", "Find next", show=False, tooltip="The next one found",
        id="explore.next",
    ),
    Binding(
        "N", "do('find', 'go_on', -1)", "Find previous", show=False, tooltip="The one found before",
        id="explore.previous",
    ),
    Binding(
        "g", "do('find', 'ask_place')", "Go to", show=False, id="explore.go_to",
        tooltip="Go to a column, row or turn by number",
    ),
    Binding(
        "z", "do('turns', 'toggle_template')", "Template", show=False, id="explore.template",
        tooltip="Dim the columns of the chat template's tokens, and back",
    ),
    Binding(
        "Z", "do('turns', 'toggle_reasoning')", "Fold", show=False, id="explore.fold",
        tooltip="Fold the columns of a thinking model's reasoning, and back",
    ),
    Binding(
        "c", "do('appearance', 'toggle_crystallization')", "Settling rows", show=False,
        id="explore.crystallization", tooltip="Mark the row where each column settles",
    ),
    Binding(
        "D", "do('trust', 'toggle')", "Trust", show=False, id="explore.trust",
        tooltip="Dim the rows that are not to be trusted: their held-out KL, and back",
    ),
    Binding(
        "e", "do('services', 'open_prompt_sets')", "Prompt set", show=False, id="explore.prompts",
        tooltip="Read a file of prompts, each at its end",
    ),
    Binding(
        "C", "do('services', 'open_scan')", "Scan a text", show=False, id="explore.scan",
        tooltip="Find where in a text the model is wrong or late",
    ),
    Binding(
        "P", "do('pins', 'ask_for_word')", "Pin a word", show=False, tooltip="Pin a word that you type",
        id="explore.pin_word",
    ),
    Binding(
        "u", "do('pins', 'list_all')", "Pins", show=False, id="explore.pins",
        tooltip="The pins in full: unpin, or choose the first",
    ),
    Binding(
        "R", "do('pins', 'plot_next')", "Plot", show=False, id="explore.plot",
        tooltip="Plot the pins' probability, rank or log-probability by row",
    ),
    Binding(
        "s", "do('sublayers', 'toggle')", "Sublayers", show=False, id="explore.sublayers",
        tooltip="Rows of what attention and MLP of each block add, and back",
    ),
    Binding(
        "f", "do('options', 'toggle_filter')", "Words only", show=False, id="explore.words_only",
        tooltip="Cells without tokens that have no letter or digit, and back",
    ),
    Binding(
        "b", "do('options', 'ask')", "Reading", show=False, id="explore.reading",
        tooltip="How it is read: rows, final norm, BOS, chat",
    ),
]  # fmt: skip
