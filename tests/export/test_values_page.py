"""The manual's page of values is made from their registry, and links of the manual lead to it."""

from __future__ import annotations

from tests.export import values_page
from tests.programs import ROOT

PAGE = ROOT / "assets" / "manual" / "values.md"


def test_the_page_is_what_the_registry_says() -> None:
    command = "python -m tests.export.values_page > assets/manual/values.md"
    assert PAGE.read_text("utf-8") == values_page.page(), command


def test_the_readme_and_the_numbers_link_to_it() -> None:
    assert "(assets/manual/values.md)" in (ROOT / "README.md").read_text("utf-8")
    assert "(values.md)" in (ROOT / "assets" / "manual" / "numbers.md").read_text("utf-8")
