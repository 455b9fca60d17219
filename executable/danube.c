/* The beginning of the released program: unpacks Danube once, then starts it from there.
 *
 * The file is this program, a packed tree (archive.h) and a footer. The tree has Danube, its packages and a Python, which
 * cannot be loaded from inside a file; its name is the hash of its content. Static, because it must start on any Linux to
 * say what is missing. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"
#include "cache.h"
#include "failure.h"

#define WHOLE_HINT "download it again, and compare its SHA-256 with SHA256SUMS"

/* The last bytes of the file, little-endian as both architectures are. build_steps/binary.py writes it. */
struct footer {
    uint64_t offset, size; /* of the packed tree */
    char name[32];
    char magic[8];
};

#define MAGIC "DANUBE\1\n"

static const struct footer *read_footer(const unsigned char *file, size_t size, const char *path) {
    static struct footer found;
    if (size >= sizeof found)
        memcpy(&found, file + size - sizeof found, sizeof found);
    errno = 0;
    if (memcmp(found.magic, MAGIC, sizeof found.magic) || found.offset + found.size + sizeof found != size)
        fail("this file is incomplete:", path, WHOLE_HINT);
    return &found;
}

static void unpack_into(const char *place, const char *tree, const unsigned char *data, size_t size, const char *path) {
    refuse_noexec(place);
    lock_cache(place);
    if (!access(tree, F_OK))
        return; /* another start has unpacked it meanwhile */
    char *unfinished = join(place, UNFINISHED);
    remove_tree(unfinished);
    if (mkdir(unfinished, 0700) < 0)
        fail("cannot make the directory", unfinished, UNPACK_HINT);
    if (!unpack(data, size, unfinished)) {
        remove_tree(unfinished);
        errno = 0;
        fail("this file is damaged:", path, WHOLE_HINT);
    }
    if (chmod(unfinished, 0755) < 0 || rename(unfinished, tree) < 0)
        fail("cannot name the directory", tree, UNPACK_HINT);
}

int main(int argc, char **argv) {
    static char path[PATH_MAX];
    if (readlink("/proc/self/exe", path, sizeof path - 1) < 0)
        fail("cannot read", "/proc/self/exe", "mount /proc: mount -t proc proc /proc");
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat state;
    if (file < 0 || fstat(file, &state) < 0)
        fail("cannot read", path, "give yourself the right to read it: chmod +r");
    size_t size = (size_t)state.st_size;
    const unsigned char *content = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (content == MAP_FAILED)
        fail("cannot read", path, "free memory, and start it again");
    const struct footer *footer = read_footer(content, size, path);
    char name[sizeof footer->name + 1] = "";
    memcpy(name, footer->name, sizeof footer->name);
    const char *place = open_cache();
    char *tree = join(place, name);
    if (access(tree, F_OK))
        unpack_into(place, tree, content + footer->offset, footer->size, path);
    char *interpreter = join(tree, "python/bin/python3");
    char **words = calloc((size_t)argc + 5, sizeof *words);
    if (!words)
        fail("no memory to start", path, "free memory, and start it again");
    char *first[] = {interpreter, "-I", "-S", join(tree, "start.py"), path};
    memcpy(words, first, sizeof first);
    for (int i = 1; i < argc; i++)
        words[i + 4] = argv[i];
    execv(interpreter, words);
    if (errno == ENOENT && !access(interpreter, F_OK)) {
        errno = 0;
        fail("this system has no GNU C library (glibc), which is needed by", path, "use the container image, or another Linux");
    }
    fail("cannot start", interpreter, "remove its directory, so that it is unpacked again; or " PLACE_HINT);
}
