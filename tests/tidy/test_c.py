"""The C files keep their rules, and each rule finds what it is for."""

import pytest

from tests.tidy import c_rules
from tests.tidy.tree import Source, sources

C_FILES = [source for source in sources() if source.name.endswith((".c", ".h"))]


def test_no_two_modules_include_each_other() -> None:
    assert list(c_rules.include_cycle(C_FILES)) == []


def test_no_two_modules_call_each_other() -> None:
    assert list(c_rules.call_cycle(C_FILES)) == []


def test_files_and_functions_have_a_length_that_can_be_read() -> None:
    rules = (c_rules.too_long_file, c_rules.too_long_function)
    assert [f"{source.name}:{found}" for source in C_FILES for rule in rules for found in rule(source)] == []


def test_the_reader_sees_the_modules_of_the_supervisor() -> None:
    """A reader that finds nothing would let everything pass."""
    names = {source.name for source in C_FILES}
    assert {"supervisor/protocol.h", "supervisor/step/idle.c", "supervisor/ns/danube-ns.c"} <= names
    calls = c_rules.calls(C_FILES)
    assert {"supervisor/step/follower", "supervisor/step/step-processes"} <= calls["supervisor/step/calls"]
    assert {"supervisor/ns/hold", "supervisor/ns/tied"} <= calls["supervisor/ns/danube-ns"]
    assert "supervisor/descriptors" in c_rules.includes(C_FILES)["supervisor/step/exec"]


def c(name: str, text: str) -> Source:
    return Source(f"supervisor/step/{name}", text)


def test_headers_that_include_each_other_are_found() -> None:
    files = [c("one.h", '#include "two.h"\n'), c("two.h", '#include "one.h"\n')]
    assert len(list(c_rules.include_cycle(files))) == 1


def test_modules_that_include_each_other_through_a_third_are_found() -> None:
    files = [
        c("one.c", '#include "one.h"\n#include "two.h"\n'),
        c("two.h", '#include "three.h"\n'),
        c("three.c", '#include "../step/one.h"\n'),
    ]
    (found,) = c_rules.include_cycle(files)
    assert all(f"supervisor/step/{name}" in found for name in ("one", "two", "three"))
    assert list(c_rules.include_cycle(files[:2])) == []


ONE = "int one(void) { return two(); }\n"

CALLS_BACK = {
    "a call": "int two(void) { return one(); }\n",
    "a call on another line": "int two(void) {\n    return one\n        ();\n}\n",
    "an argument": "void two(void) { run(1, one); }\n",
    "a table": 'static struct verb verbs[] = {{"one", one}};\nvoid two(void) { verbs[0].run(); }\n',
    "an attribute before it": "void __attribute__((noreturn)) two(int (*f)(void)) { one(); }\n",
}


@pytest.mark.parametrize("two", CALLS_BACK.values(), ids=CALLS_BACK)
def test_modules_that_call_each_other_are_found(two: str) -> None:
    assert list(c_rules.call_cycle([c("one.c", ONE), c("two.c", two)]))


CALLS_NOTHING = {
    "a comment": "/* one() */\nint two(void) { return 0; } // one()\n",
    "a string": 'int two(void) { return puts("one()"); }\n',
    "a longer name": "int two(void) { return another_one(); }\n",
    "a static function of that name": "static int one(void) { return 1; }\nint two(void) { return one(); }\n",
    "a call through a pointer": "int two(void) { return steps->one() + f(step.one, steps->one); }\n",
}


@pytest.mark.parametrize("two", CALLS_NOTHING.values(), ids=CALLS_NOTHING)
def test_code_that_is_not_a_call_passes(two: str) -> None:
    assert list(c_rules.call_cycle([c("one.c", ONE), c("two.c", two)])) == []


def test_a_name_of_two_programs_means_that_of_the_same_folder() -> None:
    other = Source("supervisor/ns/one.c", "int two(void) { return 0; }\nint one(void) { return two(); }\n")
    assert list(c_rules.call_cycle([c("one.c", ONE), c("two.c", "int two(void) { return 0; }\n"), other])) == []


def test_a_long_function_is_found() -> None:
    head = "#define X {\nstruct pair {\n    int a, b;\n};\n\nstatic int long_one(int a) {\n"
    short = "    a++; /* } */\n" * 58
    assert list(c_rules.too_long_function(c("x.c", head + short + "}\n"))) == []
    (found,) = c_rules.too_long_function(c("x.c", head + "    if (a) { a--; }\n" + short + "}\n"))
    assert found == "6: long_one has 61 lines, more than 60"


def test_a_head_on_two_lines_is_part_of_the_function() -> None:
    text = "/* What it does. */\nint split_head(int a,\n               int b) {\n    return a + b;\n}\n"
    (function,) = c_rules.functions(text)
    assert (function.name, function.first_line, function.last_line) == ("split_head", 2, 5)


def test_a_long_file_is_found() -> None:
    assert list(c_rules.too_long_file(c("x.c", "int x;\n" * 400))) == []
    assert list(c_rules.too_long_file(c("x.c", "int x;\n" * 401))) == ["1: 401 lines, more than 400"]
