/* Crashes of programs whose shape is unusual and that are gathered like any other. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

extern char **environ;

static int crash(volatile int *nowhere) { return *nowhere; }

static void *wait_for_ever(void *unused) { return pause(), unused; }

static void start_threads(int count) {
    pthread_attr_t small;
    pthread_t thread;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 16384);
    while (count--) pthread_create(&thread, &small, wait_for_ever, NULL);
}

/* As servers do to tell in ps(1) what they are at: over the arguments and the environment. */
static void write_title(char **words) {
    char *end = words[0];
    for (char **each = words; *each; each++) end = *each + strlen(*each);
    for (char **each = environ; *each; each++) end = *each + strlen(*each);
    memset(words[0], 'x', end - words[0]);
    environ = NULL;
}

/* Code that somebody has made at run time. */
static void run_made_code(void) {
    static const unsigned char code[] = {0x31, 0xc0, 0x8b, 0x00, 0xc3}; /* xor eax, eax; mov eax, [rax]; ret */
    void *page = mmap(NULL, 4096, 7, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    memcpy(page, code, sizeof code);
    ((int (*)(void))page)();
}

static void fault_in_vdso(void) {
    void *vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
    int (*get_time)(int, void *) = (int (*)(int, void *))dlsym(vdso, "__vdso_clock_gettime");
    get_time(0, (void *)8);
}

int main(int count, char **words) {
    const char *how = words[1], *library = count > 2 ? words[2] : NULL;
    if (!strcmp(how, "threads")) start_threads(2000);
    if (!strcmp(how, "title")) write_title(words);
    if (!strcmp(how, "namespace") && !dlmopen(LM_ID_NEWLM, library, RTLD_NOW)) return 1;
    if (!strcmp(how, "made")) run_made_code();
    if (!strcmp(how, "vdso")) fault_in_vdso();
    return crash(NULL);
}
