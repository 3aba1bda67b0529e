"""What a benchmark writes into a page that another one made."""

from __future__ import annotations

from benchmarks.report import section, with_section

PAGE = "# Costs\n\n## First\n\nOne\n### Below\nTwo\n\n## Last\n\nThree\n"


def test_a_section_is_the_text_up_to_the_next_of_its_level():
    assert section(PAGE, "First") == "One\n### Below\nTwo"
    assert section(PAGE, "Last") == "Three"
    assert section(PAGE, "Below") == section("", "First") == ""


def test_another_text_comes_in_its_place_and_the_rest_stays():
    page = with_section(PAGE, "First", "Four\n")
    assert page == "# Costs\n\n## First\n\nFour\n\n## Last\n\nThree\n"
    assert with_section(page, "First", "Four") == page
    assert with_section(PAGE, "Last", r"\1") == PAGE.replace("Three", r"\1")


def test_a_section_that_is_not_there_comes_last():
    assert with_section(PAGE, "New", "Five") == f"{PAGE}\n## New\n\nFive\n"
    assert with_section("", "First", "One") == "## First\n\nOne\n"
    assert with_section("## First", "First", "One") == "## First\n\nOne\n"
