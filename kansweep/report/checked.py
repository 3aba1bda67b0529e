"""Checks as text, as JUnit's XML and as GitHub's annotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.etree import ElementTree

from kansweep.laws.checks import Check
from kansweep.laws.notation import printable

TITLE = "kansweep check"


def text(checks: Sequence[Check]) -> str:
    """A line a check."""
    widths = [max(len(getattr(check, column)) for check in checks) for column in ("name", "of")]
    return "\n".join(
        f"{'holds ' if check.holds else 'FAILED'}  {check.name:{widths[0]}}  {check.of:{widths[1]}}"
        f"  {check.detail}"
        for check in checks
    )


def junit(checks: Sequence[Check]) -> str:
    """A test suite with a case a check, as continuous integration reads it."""
    counts = {
        "tests": str(len(checks)),
        "failures": str(sum(not check.holds for check in checks)),
        "errors": "0",
    }
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": TITLE, **counts})
    for check in checks:
        named = {"classname": TITLE, "name": printable(f"{check.name}: {check.of}"), "time": "0"}
        case = ElementTree.SubElement(suite, "testcase", named)
        detail = printable(check.detail)
        if check.holds:
            ElementTree.SubElement(case, "system-out").text = detail
        else:
            ElementTree.SubElement(case, "failure", {"message": detail}).text = detail
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True)


def github(checks: Sequence[Check]) -> str:
    """Workflow commands: an error a check that failed, a notice a check that holds."""
    return "\n".join(
        f"::{'notice' if check.holds else 'error'}"
        f" title={_property(f'{TITLE}: {check.name}')}::{_data(f'{check.of}: {check.detail}')}"
        for check in checks
    )


def _data(words: str) -> str:
    for character in "%\r\n":
        words = words.replace(character, f"%{ord(character):02X}")
    return words


def _property(words: str) -> str:
    return _data(words).replace(":", "%3A").replace(",", "%2C")


FORMATS: dict[str, Callable[[Sequence[Check]], str]] = {
    "text": text,
    "junit": junit,
    "github": github,
}
