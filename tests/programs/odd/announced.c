/* Runs machine code that it has announced to debuggers by an ELF file in memory (gdb manual, "JIT Interface"). */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry {
    struct entry *next, *previous;
    const char *file;
    uint64_t size;
};
struct {
    uint32_t version, action;
    struct entry *relevant, *first;
} __jit_debug_descriptor = {1, 0, 0, 0};

void __attribute__((noinline)) __jit_debug_register_code(void) { __asm__ volatile(""); }

static char *content(const char *name, uint64_t *size)
{
    struct stat status;
    int descriptor = open(name, O_RDONLY);
    fstat(descriptor, &status);
    char *copy = mmap(0, status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *size = read(descriptor, copy, status.st_size);
    return copy;
}

int main(int count, char **words)
{
    static struct entry made;
    uint64_t size;
    made.file = content(words[1], &made.size);
    char *code = content(words[2], &size);
    void *place = mmap((void *)0x20000000, size, PROT_READ | PROT_WRITE | PROT_EXEC,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    memcpy(place, code, size);
    __jit_debug_descriptor.relevant = __jit_debug_descriptor.first = &made;
    __jit_debug_descriptor.action = count > 2;
    __jit_debug_register_code();
    return ((int (*)(int *))place)(0);
}
