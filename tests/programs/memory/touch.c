/* Prints what the kernel says of its memory, some of it touched and some not, then aborts. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MIB = 1 << 20, PAGE = 4096 };

static void *sleeper(void *argument)
{
    volatile char used[300000];
    memset((char *)used, 1, sizeof used);
    for (int i = 0; i < 20; i++)
        memset(malloc(50000), i | 1, 50000); /* in an arena of this thread's */
    for (;;)
        pause();
    return argument;
}

int main(void)
{
    pthread_t thread;
    char line[200], *area;
    volatile long sum = 0;
    for (int i = 0; i < 4; i++)
        pthread_create(&thread, NULL, sleeper, NULL);
    for (int i = 0; i < 3000; i++)
        memset(malloc(10000), i | 1, 10000);
    area = mmap(NULL, 1024L * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    madvise(area, 1024L * MIB, MADV_NOHUGEPAGE);
    for (long at = 0; at < 100L * MIB; at += PAGE)
        area[at] = 1;
    for (long at = 500L * MIB; at < 600L * MIB; at += 2 * PAGE)
        area[at] = 1;
    for (long at = 700L * MIB; at < 800L * MIB; at += PAGE)
        sum += area[at]; /* read only: the shared zero page, which is not resident */
    sleep(1);
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "Rss", 3) || !strncmp(line, "VmSize", 6) || !strncmp(line, "VmSwap", 6))
            fputs(line, stdout);
    fflush(stdout);
    abort();
}
