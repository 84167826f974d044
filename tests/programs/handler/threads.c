/* Dies with threads that wait, a list in its heap, memory that it shares, and much that it never touched. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8
#define SIZE (16 << 20)

struct node {
    struct node *next;
    char text[40];
};

static struct node *list;
static pthread_barrier_t ready;

static void deeper(int left, struct node *at) {
    if (left) {
        deeper(left - 1, at->next);
        return;
    }
    pthread_barrier_wait(&ready);
    for (;;) pause();
}

static void *wait_for_ever(void *depth) {
    deeper((int)(long)depth, list);
    return 0;
}

int main(void) {
    for (int count = 0; count < 100; count++) {
        struct node *node = malloc(sizeof *node);
        node->next = list;
        strcpy(node->text, "a node of the list");
        list = node;
    }
    memset(malloc(SIZE), 'x', SIZE);
    char *sparse = mmap(0, 64 * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(sparse + 32 * SIZE, "alone");
    char *shared = mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (fork() == 0) { /* what another process has put there is in the core as well */
        strcpy(shared + SIZE / 2, "of another process");
        _exit(0);
    }
    wait(0);
    pthread_barrier_init(&ready, 0, THREADS + 1);
    for (long number = 0; number < THREADS; number++) {
        pthread_t thread;
        pthread_create(&thread, 0, wait_for_ever, (void *)number);
    }
    pthread_barrier_wait(&ready);
    return *(volatile int *)8;
}
