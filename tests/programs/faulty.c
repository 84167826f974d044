/* LD_PRELOAD: the read number FAULT_AT of the file FAULT_FILE, and each after it, finds the file changed as FAULT says. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int count;

static void disturb(int descriptor)
{
    const char *path = getenv("FAULT_FILE"), *fault = getenv("FAULT");
    static struct stat wanted;
    struct stat found;

    if (!path || (!wanted.st_ino && stat(path, &wanted)) || fstat(descriptor, &found)
        || found.st_ino != wanted.st_ino || found.st_dev != wanted.st_dev
        || __sync_fetch_and_add(&count, 1) < atoi(getenv("FAULT_AT")))
        return;
    if (!strcmp(fault, "unlink"))
        unlink(path);
    if (!strcmp(fault, "truncate") && truncate(path, wanted.st_size / 2))
        abort();
    if (!strcmp(fault, "grow") && truncate(path, wanted.st_size + 65536))
        abort();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t read(int descriptor, void *buffer, size_t size)
{
    disturb(descriptor);
    return REAL(read)(descriptor, buffer, size);
}

ssize_t pread(int descriptor, void *buffer, size_t size, off_t offset)
{
    disturb(descriptor);
    return REAL(pread)(descriptor, buffer, size, offset);
}

ssize_t pread64(int descriptor, void *buffer, size_t size, off64_t offset)
{
    disturb(descriptor);
    return REAL(pread64)(descriptor, buffer, size, offset);
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t size, unsigned flags)
{
    disturb(in);
    return REAL(copy_file_range)(in, in_at, out, out_at, size, flags);
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t size)
{
    disturb(in);
    return REAL(sendfile64)(out, in, offset, size);
}
