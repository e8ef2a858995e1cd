"""The colours of the screen: two themes of our own, and two of the terminal's sixteen colours."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.color import Color
from textual.theme import Theme

DARK = Theme(
    name="dark",
    primary="#6fb7c4",
    secondary="#a3ca5b",
    accent="#fbee6e",
    warning="#e0af68",
    error="#f7768e",
    success="#79bb68",
    foreground="#d6d8e0",
    background="#0f1015",
    surface="#121319",
    panel="#1b1d26",
    dark=True,
    variables={"border": "#6fb7c4", "border-blurred": "#33364a", "footer-key-foreground": "#6fb7c4"},
)
LIGHT = Theme(
    name="light",
    primary="#1b6a7d",
    secondary="#3f6b12",
    accent="#8c2f9c",
    warning="#8a4b00",
    error="#b3203c",
    success="#2c6e2f",
    foreground="#20222b",
    background="#ffffff",
    surface="#fafaf7",
    panel="#ebebe6",
    dark=False,
    variables={"border": "#1b6a7d", "border-blurred": "#c3c5cc", "footer-key-foreground": "#1b6a7d"},
)


def _ansi(name: str, *, dark: bool) -> Theme:
    """Return a theme of the terminal's own colours, with no background but the terminal's."""
    strong, quiet = ("ansi_white", "ansi_bright_black") if dark else ("ansi_black", "ansi_bright_black")
    chosen = {
        f"{part}-{ground}": colour
        for part in ("block-cursor", "input-cursor", "input-selection", "screen-selection")
        for ground, colour in (
            ("background", strong),
            ("foreground", "ansi_black" if dark else "ansi_bright_white"),
        )
    }
    return Theme(
        name=name,
        ansi=True,
        dark=dark,
        primary="ansi_cyan" if dark else "ansi_blue",
        secondary="ansi_green",
        accent="ansi_yellow" if dark else "ansi_magenta",
        warning="ansi_yellow" if dark else "ansi_red",
        error="ansi_red",
        success="ansi_green",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        variables={
            **chosen,
            "ansi-background": "ansi_black" if dark else "ansi_bright_white",
            "ansi-foreground": "ansi_white" if dark else "ansi_black",
            "border": "ansi_cyan" if dark else "ansi_blue",
            "border-blurred": quiet,
            "footer-key-foreground": "ansi_cyan" if dark else "ansi_blue",
            "input-cursor-text-style": "none",
        },
    )


THEMES = {
    theme.name: theme
    for theme in (DARK, LIGHT, _ansi("ansi-dark", dark=True), _ansi("ansi-light", dark=False))
}


def rich_colour(app: App[Any], name: str) -> str:
    """Return a colour of the current theme as Rich spells it."""
    return Color.parse(app.theme_variables[name]).rich_color.name
