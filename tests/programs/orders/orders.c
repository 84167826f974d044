// Crashes in a function that libc calls, with two threads that wait; C and small, to be compiled for any machine.
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

struct order { int number; struct order *next; };
static __thread volatile int worker_number;
static int arrived, asleep;

static void *wait_for_orders(void *argument)
{
    worker_number = *(int *)argument;
    for (;;)
        syscall(SYS_futex, &arrived, FUTEX_WAIT, 0, NULL);
}

static int compare(const void *left, const void *right)
{
    const struct order *a = *(struct order *const *)left, *b = *(struct order *const *)right;
    return a->number - b->next->number;
}

int main(void)
{
    static int numbers[] = {1, 2};
    struct order first = {1, NULL}, second = {2, NULL};
    struct order *orders[] = {&first, &second};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, wait_for_orders, &numbers[i]);
    // Only a thread that sleeps in the kernel can be moved from one futex to another (futex(2), FUTEX_CMP_REQUEUE).
    for (int moved = 0; moved < 2;)
        moved += syscall(SYS_futex, &arrived, FUTEX_CMP_REQUEUE, 0, 2, &asleep, 0);
    qsort(orders, 2, sizeof *orders, compare);
    return first.number;
}
