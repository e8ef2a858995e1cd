"""The command palette: Textual's, with our way to find actions, for keys that come faster than the search."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.widgets import Input
from textual.worker import WorkerCancelled

from lenstui.tui.help.commands import Command
from lenstui.tui.shared.screen import AppScreen


class Palette(CommandPalette, AppScreen[None]):
    """A line to type into, and the actions that it finds."""

    @on(Input.Submitted)
    async def find_first(self) -> None:
        """Wait for the search to end before Enter takes the first action that is found."""
        finding = [worker for worker in self.workers if worker.node is self and not worker.is_finished]
        for worker in finding:
            try:
                await worker.wait()
            except WorkerCancelled:
                continue  # another text was typed

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether an action may run.

        The keys of the list may not while the list has no room yet, or has one line that says that nothing is
        found.
        """
        if action == "command_list":
            return any(
                found.scrollable_content_region and any(not option.disabled for option in found.options)
                for found in self.query(CommandList)
            )
        return super().check_action(action, parameters)


def provider_of(commands: Iterable[Command]) -> type[Provider]:
    """Return a class that finds some commands by their titles, descriptions and further words."""
    listed = sorted(commands, key=lambda command: command.title)

    class Commands(Provider):
        async def discover(self) -> Hits:
            for command in listed:
                title = _with_key(Content(command.title), command)
                yield DiscoveryHit(title, command.run, command.title, command.key.does)

        async def search(self, query: str) -> Hits:
            matcher, words = self.matcher(query), query.split()
            for command in listed:
                score, key = matcher.match(command.title), command.key
                if key.is_found_by(words):
                    score = max(score, _BY_WORDS * len(query))
                if score > 0:
                    title = _with_key(matcher.highlight(command.title), command)
                    hidden = [word for word in words if word.casefold() not in command.title.casefold()]
                    about = " · ".join(filter(None, (key.does, key.hidden_words(hidden))))
                    yield Hit(score, title, command.run, command.title, about)

    return Commands


# For each character of the query: less than the matcher's score where a title has the query as it stands,
# more than its score where a title has the same characters, here and there.
_BY_WORDS = 3


def _with_key(title: Content, command: Command) -> Content:
    """Return a title with its key and topic behind it."""
    beside = " · ".join(filter(None, (command.key.keys, command.key.topic)))
    return Content.assemble(title, (f"  {beside}", "not bold dim")) if beside else title
