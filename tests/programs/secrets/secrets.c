/* Keeps what nobody else must see wherever a program can: in its environment, also as setenv and unsetenv leave it, in
   its arguments and its name, and copies in the heap, on the stack, in registers, in wide characters and in the private
   pages of a mapped file. Nothing of it stands in the program: all comes from outside. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <wchar.h>

extern char **environ;

static char global[256];

/* Leaves half of a copy in the frames of functions that have returned. */
static int __attribute__((noinline)) old_frames(const char *secret, int depth) {
    char copy[200];
    strcpy(copy + depth, secret);
    memset(copy + depth + 11 + depth, 0, 20);
    return depth ? old_frames(secret, depth - 1) + copy[depth] : copy[0];
}

int main(int count, char **words) {
    const char *secret = getenv("DB.PASSWORD"), *text = words[1];
    char *url = malloc(300), *file, number[8];
    wchar_t *wide = malloc(1200);
    unsigned short *units = calloc(300, 2);
    int descriptor = open(words[2], O_RDONLY);

    snprintf(url, 300, "postgres://app:%s@db/orders?key=%s", secret, text);
    swprintf(wide, 300, L"%s", secret);
    for (int at = 0; secret[at]; at++) units[at] = secret[at];
    strcpy(global, text);
    file = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0);
    strcpy(file + 100, secret);
    strcpy(file + 300, text);
    prctl(PR_SET_NAME, text);
    setenv("LATE", secret + 3, 1);
    setenv("REPLACED", "nothing", 1);
    unsetenv("REMOVED");
    for (int round = 0; round < 50; round++) {
        snprintf(number, sizeof number, "N.%d", round);
        setenv(number, "a value for the array to grow", 1);
    }
    if (!strcmp(words[3], "title")) {  /* a title, as servers write it over all of it */
        char *end = words[0], **own = calloc(1000, sizeof *own);
        for (int at = 0; environ[at]; at++) own[at] = strdup(environ[at]);
        environ = own;
        for (int at = 0; words[at]; at++) end = words[at] + strlen(words[at]);
        memset(words[0], ' ', end - words[0] + 30);
        strcpy(words[0], "worker: busy");
    }
    old_frames(secret, 7);
    old_frames(text, 5);
    memcpy(alloca(400), environ[0], 40);
    abort();
}
