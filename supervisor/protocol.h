/* Protocol 1 between the server and the supervisor. The other half is `danube_pkg/core/runtimes/supervisor.py`.
 *
 * Integers are little-endian. TLV: u8 tag, u32 length, value.
 *
 * Request, on standard input of `danube-step run`, `kill`, `freeze` and `thaw`:
 *     "DNB1" | u32 body length (at most 4 MiB) | body: TLVs | BLAKE2b-256 of the body
 * followed by acknowledgements: 'A' | u64 offset. The output before that offset may be discarded.
 *
 * Frames on standard output: u8 type | u32 length | payload
 *     'S' u32 version, u64 held from, u64 written, u32 process id, u8 fresh (this call started the command)
 *     'D' u64 offset, bytes          'H' u64 written: a heartbeat while there is no output
 *     'E' record: TLVs, then 32 bytes of keyed BLAKE2b-256 over them. The last frame, after all output. Acknowledgements are
 *         still read after it, until the input ends: only output that is acknowledged completely is reduced to its tail
 *     'R' code, NUL, message: the request is refused. The last frame
 */
#ifndef DANUBE_PROTOCOL_H
#define DANUBE_PROTOCOL_H

#define PROTOCOL_VERSION 1
#define REQUEST_MAGIC "DNB1"
#define MAX_BODY (4u << 20)

enum request_tag {
    REQUEST_VERSION = 1,
    REQUEST_STEP_ID = 2,
    REQUEST_ATTEMPT = 3,
    REQUEST_KEY = 4,
    REQUEST_COMMAND = 5,
    REQUEST_ENV = 6,
    REQUEST_WORKDIR = 7,
    REQUEST_TIMEOUT_MS = 8,
    REQUEST_USER = 9,
    REQUEST_FROM_OFFSET = 10,
    REQUEST_GRACE_MS = 11, /* between TERM and KILL; absent: `--grace-ms` of `danube-step idle` */
    REQUEST_KILL = 12,
    REQUEST_SHELL = 13, /* words of the program that gets `-c` and the command; absent: /bin/sh -e */
};

enum record_tag {
    RECORD_VERSION = 1,
    RECORD_STEP_ID = 2,
    RECORD_ATTEMPT = 3,
    RECORD_EXIT_CODE = 4,
    RECORD_SIGNAL = 5,
    RECORD_TIMED_OUT = 6,
    RECORD_KILLED = 7,
    RECORD_START_ERROR = 8,
    RECORD_WALL_US = 9,
    RECORD_USER_US = 10,
    RECORD_SYSTEM_US = 11,
    RECORD_PEAK_MEMORY = 12,
    RECORD_OUTPUT_BYTES = 13,
    RECORD_OUTPUT_HASH = 14,
    RECORD_LEFTOVERS = 15,
};

#endif
