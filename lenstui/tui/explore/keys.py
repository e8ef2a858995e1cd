"""The keys of Explore, in the order of the footer and of the list of keys."""

from __future__ import annotations

from textual.binding import Binding, BindingType

KEYS: list[BindingType] = [
    Binding("question_mark", "app.show_keys", "Help", key_display="?", id="app.help"),
    Binding("i", "edit_prompt", "Prompt", tooltip="Edit the prompt", id="explore.prompt"),
    Binding("v", "next_value(1)", "Value", tooltip="Colour by the next value", id="explore.value"),
    Binding(
        "V", "next_value(-1)", "Value back", show=False, tooltip="Colour by the value before",
        id="explore.value_back",
    ),
    Binding("p", "pin", "Pin", tooltip="Pin the cell's token, or unpin it", id="explore.pin"),
    Binding(
        "right_square_bracket", "deepen(1)", "Taller", key_display="]", show=False,
        tooltip="Taller rows: more of the top tokens", id="explore.taller",
    ),
    Binding(
        "left_square_bracket", "deepen(-1)", "Flatter", key_display="[", show=False,
        tooltip="Flatter rows: fewer of the top tokens", id="explore.flatter",
    ),
    Binding("r", "flip", "Flip", show=False, tooltip="Last row on top, or at the bottom", id="explore.flip"),
    Binding(
        "tab", "other_pane", "Next side", show=False, tooltip="Go to the next side",
        id="explore.other",
    ),
    Binding("t", "app.train", "Train", tooltip="Train a tuned lens for the open model", id="app.train"),
    Binding("o", "app.show_lenses", "Lenses", tooltip="Choose, open and save lenses", id="app.lenses"),
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
]  # fmt: skip
