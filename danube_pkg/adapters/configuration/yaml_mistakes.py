"""What to do about a text that is not valid YAML: the parser names a rule of its grammar, users need the character."""

import yaml

INDENTATION = "check the indentation there"


def yaml_mistake(error: yaml.MarkedYAMLError, text: str) -> tuple[int, str, str]:
    """(line, what is wrong, what to do). line: 0 where the parser gives none."""
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    lines = text.splitlines()
    begin = error.context_mark or mark
    if begin is None or not 0 <= begin.line < len(lines):
        return line, _said(error), INDENTATION
    written = lines[begin.line]
    problem, character = error.problem or "", written[begin.column : begin.column + 1]
    if character == "\t" or (begin.column and written[: begin.column].isspace() and "\t" in written[: begin.column]):
        return line, "a tab, which YAML does not take", "indent with spaces"
    if problem == "found undefined alias" or "alias" in (error.context or ""):
        return (
            line,
            f"a text that begins with * is an alias ({problem})",
            f"put it in quotes: '{_word(written, begin.column)}'",
        )
    if problem == "found character that cannot start any token" and character:
        return line, f"a text cannot begin with {character}", f"put it in quotes: '{_word(written, begin.column)}'"
    if "quoted scalar" in (error.context or ""):
        return begin.line + 1, "a quote that begins here is not closed", f"close it with {character}"
    if problem.startswith("did not find expected ',' or"):
        return line, f"{character} on line {begin.line + 1} is not closed", f"close it with {problem[-2]}"
    if problem.startswith("mapping values are not allowed"):
        return line, f"a second ':' in one line, or a key that is indented too far ({problem})", _colon_hint(written)
    if problem == "could not find expected ':'":
        return begin.line + 1, "a key without ': ' behind it", "write: key: value"
    return line, _said(error), INDENTATION


def _said(error: yaml.MarkedYAMLError) -> str:
    return f"{error.problem}{f' ({error.context})' if error.context else ''}"


def _word(line: str, column: int) -> str:
    """The value that begins there, without what follows it in a list or mapping."""
    rest = line[column:]
    if "[" in line[:column] or "{" in line[:column]:
        rest = rest.replace("]", ",").replace("}", ",").partition(",")[0]
    return rest.partition(" #")[0].strip().replace("'", "''")[:60]


def _colon_hint(line: str) -> str:
    key, colon, value = line.partition(": ")
    if not colon or ":" not in value:
        return "write ': ' behind a key, put a text with ': ' in quotes, and indent the keys of one mapping equally"
    return f"""a text with ': ' stands in quotes: {key.strip()}: '{value.strip().replace("'", "''")[:60]}'"""
