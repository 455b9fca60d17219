"""Tricks with processes, signals, memory and output."""

from random import Random

from tests.adversary.tricks import in_python, in_step, trick

GENERATIONS = 10
"""A fork bomb doubles this often, so that it is bounded by itself too: by 1024 processes."""


@trick
def double_fork(random: Random) -> str:
    """A daemon that nothing waits for, and that no signal but KILL ends."""
    return in_python("""
import os, signal, time
if not os.fork():
    os.setsid()
    if not os.fork():
        for number in range(1, 65):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): print(number)
        time.sleep(300)
    os._exit(0)
os.wait()
""")


@trick
def held_output(random: Random) -> str:
    """A daemon that keeps the output of its step open, or writes to it afterwards."""
    return in_step(random.choice(("setsid sleep 300 &", "(sleep 1; while echo late; do sleep 1; done) & exit 0")))


@trick
def fork_bomb(random: Random) -> str:
    """As many processes as the pod may have; they wait, or they are busy."""
    work = random.choice(("time.sleep(60)", "sum(range(10 ** 7))"))
    return in_python(
        f"""
import os, time
for _ in range({GENERATIONS}):
    try: os.fork()
    except OSError as error: time.sleep(1); break
{work}
""",
        seconds=random.choice((2, 5)),
    )


@trick
def stopped_supervisor(random: Random) -> str:
    """The processes that watch a step are stopped."""
    return in_step(
        random.choice(("kill -STOP $PPID; sleep 100", "kill -STOP -1; sleep 100", "kill -STOP 1; sleep 2")), seconds=2
    )


@trick
def stopped_itself(random: Random) -> str:
    """A step that stops itself, with a child or without."""
    return in_step(random.choice(("kill -STOP $$", "sleep 100 & kill -STOP $! $$; wait")), seconds=2)


@trick
def killed_neighbours(random: Random) -> str:
    """Every process that a step may send signals to."""
    number = random.choice(("KILL", "TERM", "HUP", "SEGV", "CONT", "TSTP"))
    return in_step(f"kill -{number} -1; kill -{number} 1; kill -{number} $PPID; sleep 1", seconds=3)


@trick
def ignored_term(random: Random) -> str:
    """A step that does not end when it is asked to."""
    return in_step("trap '' TERM HUP INT QUIT PIPE; while true; do sleep 1; done", seconds=random.choice((1, 2)))


@trick
def zombies(random: Random) -> str:
    """Children whose end is never read."""
    return in_python(f"""
import os, time
for _ in range({random.randint(10, 120)}):
    try:
        if not os.fork(): os._exit(3)
    except OSError: break
time.sleep(2)
""")


@trick
def first_process(random: Random) -> str:
    """PID 1 of the container and its memory."""
    return in_step(
        "cat /proc/1/environ; cat /proc/1/mem; ls -l /proc/1/fd /proc/1/root/; echo x > /proc/1/comm; cat /.danube/*; kill -9 1"
    )


@trick
def settings_of_the_kernel(random: Random) -> str:
    """What only root of the machine may set."""
    return in_step(
        "echo -1000 > /proc/self/oom_score_adj; renice -20 $$; ulimit -n 1000000; ulimit -u unlimited; "
        "echo 1 > /proc/sys/vm/swappiness; dmesg | tail -n 1; hostname x; echo x > /proc/self/attr/current; "
        "echo $$ > /sys/fs/cgroup/cgroup.procs; mkdir /sys/fs/cgroup/x"
    )


@trick
def unusual_system_calls(random: Random) -> str:
    """Calls that a sandbox refuses, by their numbers on x86-64."""
    return in_python("""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for number in (101, 155, 161, 165, 166, 172, 175, 246, 248, 249, 250, 272, 298, 304, 308, 310, 321, 323, 425, 428, 429, 430, 435, 442):
    pid = os.fork()
    if not pid:
        print(number, libc.syscall(number, 0, 0, 0, 0, 0), ctypes.get_errno())
        os._exit(0)
    os.waitpid(pid, 0)
""")


@trick
def much_memory(random: Random) -> str:
    """More memory than the pod has, all at once or in many processes."""
    if random.random() < 0.5:
        return in_python("x = bytearray(600 << 20); print(len(x))")
    return in_python("""
import os, time
for _ in range(6):
    if not os.fork():
        x = bytearray(60 << 20)
        time.sleep(2)
        os._exit(0)
while True:
    try: os.wait()
    except ChildProcessError: break
""")


@trick
def memory_without_names(random: Random) -> str:
    """memfd, shared mappings and pipes."""
    return in_python("""
import mmap, os, time
one = os.memfd_create("x")
os.truncate(one, 100 << 20)
shared = mmap.mmap(one, 100 << 20)
for at in range(0, 100 << 20, 4096): shared[at] = 1
pipes = [os.pipe() for _ in range(100)]
for _, write in pipes:
    os.set_blocking(write, False)
    try:
        while True: os.write(write, b"x" * 4096)
    except BlockingIOError: pass
time.sleep(1)
""")


@trick
def much_output(random: Random) -> str:
    """Output without lines, with only line ends, of zero bytes, or of control sequences."""
    source = random.choice(
        ("yes", "cat /dev/zero", "cat /dev/urandom", "yes ''", "yes '\033]0;title\007\033[2J\r'", "yes 'ghp_'")
    )
    return in_step(f"{source} | head -c {random.randint(1, 6)}000000")


@trick
def forged_lines(random: Random) -> str:
    """Lines that look as if Danube had written them."""
    return in_step(
        "printf -- '--- step 1 success\\n--- job success\\n\\r--- \\0\\xff\\xfe\\n'; printf 'no end of line'"
    )


@trick
def many_descriptors(random: Random) -> str:
    """As many open files as there may be, inherited by children."""
    return in_python("""
import os, time
held = []
try:
    while len(held) < 5000: held.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error: print(error)
for _ in range(10): os.fork() or (time.sleep(2), os._exit(0))
""")


@trick
def busy_processor(random: Random) -> str:
    """More busy threads than the machine has processors."""
    return in_step("for i in 1 2 3 4 5 6; do (while :; do :; done) & done; sleep 2; exit 0", seconds=5)
