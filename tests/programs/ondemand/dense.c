/* A crash with memory that does not compress: `words` holds a known sequence, of as many MiB as the argument says. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

uint64_t *words;
uint64_t count;

static void *wait_for_ever(void *name)
{
    for (;;)
        pause();
    return name;
}

static void fill(void)
{
    uint64_t state = 88172645463325252ull;

    for (uint64_t i = 0; i < count; ++i) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        words[i] = state;
    }
}

int main(int arguments, char **values)
{
    pthread_t thread;

    for (int i = 0; i < 3; ++i)
        pthread_create(&thread, NULL, wait_for_ever, NULL);
    count = (arguments > 1 ? strtoull(values[1], NULL, 0) : 48) << 17;
    words = malloc(count * sizeof *words);
    fill();
    *(volatile int *)8 = 1;
    return 0;
}
