"""The words that Danube does not use, each with what to write instead. This table is data; `wording.py` applies it.

A key is a word or a phrase in lower case, with its other forms behind a `|`. It is found in text (code, comments,
docstrings, messages, documents) and as a part of an identifier: `told` is found in `is told`, `Told`, `write_told` and
`TOLD_AT`. A phrase is found across a line break too.
"""

WORDS = {
    # Persons in the place of roles and processes.
    "somebody": "the user, the caller, a client, a process: whichever it is",
    "nobody": "no user, no client, no process; or the passive: 'is not read'",
    "anybody": "any user, any client",
    "everybody": "all users, every client",
    "whoever | whomever": "the caller, the client, the owner; users who",
    "stranger | strangers": "untrusted (code), unauthenticated (clients)",
    "a person": "a user, an operator",
    # Verbs of speech for technical acts.
    "told": "notified, reported, logged, returned, given",
    "telling | tellings": "notification",
    "tell of | tells of": "report",
    "news": "event, message, notification, update",
    "of which nothing follows": "ignored",
    "is asked for | are asked for | was asked for | were asked for": "requested",
    "takes nothing from": "rejects, is failing",
    "had enough": "is rate-limiting (HTTP 429), exceeded",
    # Private metaphors.
    "house | houses": "server, application, fixture: the part's own noun",
    "mailroom": "inbox, outbox",
    "yard | yards": "environment, fixture: the part's own noun",
    "fate | fates": "fault plan, injected faults",
    "mortal | mortals": "killable process",
    "murder | murders | murdered": "kill",
    "surroundings": "dependencies",
    "circumstances": "settings, context",
    # Verbs of place and movement for states.
    "mend | mends | mended | mending": "fix",
    "in force": "applied, current, effective",
    "begun again | began again | begin again | begins again | beginning again": "restarted",
    "begun anew | began anew | begin anew | begins anew": "restarted",
    "go first | goes first | going first | went first": "takes precedence",
    "go on | goes on | going on | went on | gone on": "continue",
    "let go | lets go | letting go | lets it go | let it go": "release, disconnect, drop",
    "is away | are away | was away | were away | be away": "unreachable, absent",
    "is here | are here | was here | were here | be here": "cached, stored, local",
    "is there | are there | was there | were there | be there": "exists, is present, is running",
    "look at | looks at | looked at | looking at": "read, check, poll, inspect, view, see",
    "a look | one look | last look | next look | another look | the look | first look": "check, poll, read",
    "look again | looks again | looked again | looking again": "check again, poll, re-read",
    "is no": "is not a (valid), has no",
    "is of the dead": "belongs to a killed server",
}
"""Found anywhere."""

NAMES = {
    "front": "http, edge, server",
    "look | looks | looked | looking": "poll, check, read, reauthorise",
    "letter | letters": "message, event, request",
    "still may": "reauthorise, is_allowed",
    "hall": "fixture: what it holds",
    "tell | tells": "notify, report",
    "messenger | messengers": "notifier, sender",
}
"""Found in names alone (files, classes, functions, attributes that are set): in text they are ordinary words."""

PATHS = {
    "explaining": "explanation",
    "reading": "sources, repository: what is read",
    "following": "log stream, follower",
    "watching": "watch, monitor",
}
"""Found in names of files and folders alone: a participle is not the noun of a subsystem."""

FRAGMENT = "a full noun phrase or sentence: what it is, not what it is of"
"""Instead of a docstring or comment that begins with "Of"."""

NOT_AFTER = {"is no": {"there"}}
"""Words before a phrase with which it is ordinary English: `there is no job`."""

NOT_BEFORE = {
    "is no": {"longer", "more", "less", "better", "worse", "other", "need", "reason", "way", "matter"},
    "is there": {"a", "an", "any", "no", "anything", "something", "nothing", "more", "one", "room"},
    "are there": {"any", "no", "more"},
    "look": {"up", "like", "into", "for"},
    "looks": {"up", "like", "into", "for"},
    "looked": {"up", "like", "into", "for"},
}
"""Words behind a phrase with which it is ordinary English: `is there a job?`, `look_up`."""

ALLOWED_LINES = {
    "nobody": r"65534|nogroup|token-of-nobody",
    "everybody": r"It's a Secret to Everybody",
    "stranger | strangers": r"secret-of-strangers",
}
"""Lines in which a word is a term. `nobody`: the user of Unix, where its number or its group is named too.
`everybody`: in the secret of GitHub's example of a signature. `stranger`, `nobody`: references of errors that were
renamed, in the changelog."""
