"""Checks as they are written: text, JUnit's XML, GitHub's annotations."""

from __future__ import annotations

from xml.etree import ElementTree

from kansweep.laws.checks import Check
from kansweep.report import checked

CHECKS = [
    Check("verdict", "f, n = 10, test", True, "consistent: -4.00 [-4.02, -3.98]"),
    Check("worst", "a<b>, n = 300, train", False, '50% "more"\nthan & that: \x1b'),
]


def test_a_check_is_a_line_of_text() -> None:
    assert checked.text(CHECKS).splitlines()[0] == (
        "holds   verdict  f, n = 10, test       consistent: -4.00 [-4.02, -3.98]"
    )
    assert checked.text(CHECKS[:1]).count("\n") == 0


def test_junit_has_a_case_a_check_and_a_failure_where_it_fails() -> None:
    root = ElementTree.fromstring(checked.junit(CHECKS))
    (suite,) = root
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    for element in (root, suite):
        assert {name: element.get(name) for name in ("tests", "failures", "errors")} == {
            "tests": "2",
            "failures": "1",
            "errors": "0",
        }
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == [
        *("verdict: f, n = 10, test", "worst: a<b>, n = 300, train")
    ]
    assert all(case.get("classname") and case.get("time") for case in cases)
    assert cases[0].find("failure") is None
    failure = cases[1].find("failure")
    assert failure is not None
    assert failure.text == '50% "more"\nthan & that: \N{REPLACEMENT CHARACTER}'


def test_an_annotation_keeps_to_its_line() -> None:
    held, failed = checked.github(CHECKS).splitlines()
    assert held.startswith("::notice title=kansweep check%3A verdict::f, n = 10, test: consistent")
    assert failed.startswith("::error title=kansweep check%3A worst::a<b>, n = 300, train: 50%25 ")
    assert "%0Athan" in failed
