/* The one way in which the stub gives up: a message with the cause and what to do, and exit code 1. */
#pragma once

/* Prints `danube: WHAT PATH: CAUSE` with the error of errno, or without CAUSE where errno is 0, and `hint: HINT`. */
_Noreturn void fail(const char *what, const char *path, const char *hint);
