"""Only root repeats the ways as an ordinary user: every other user is one."""

import os

collect_ignore = [] if os.geteuid() == 0 else ["test_as_ordinary_user.py"]
