// musl KIND: a fault below functions of a C library without unwind information, under a handler; "sort" or "thread".
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) static void fault(void) { *(volatile int *)16 = 1; }
static void handle(int number) { (void)number; abort(); }
static int compare(const void *one, const void *other) { (void)one, (void)other; fault(); return 0; }
static void *work(void *kind) { fault(); return kind; }

int main(int count, char **words)
{
    pthread_t thread;
    int numbers[4] = {3, 1, 2, 0};
    signal(SIGSEGV, handle);
    if (count > 1 && !strcmp(words[1], "sort")) qsort(numbers, 4, sizeof *numbers, compare);
    pthread_create(&thread, 0, work, words);
    return pthread_join(thread, 0);
}
