/* Crashes of programs that run from odd places: from memory, from /proc, by a loader, with their code moved away. */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int crash(volatile int *nowhere) { return *nowhere; }

/* Runs a copy of this program that is in no file system. */
static int from_memory(char **words) {
    struct stat status;
    int file = open("/proc/self/exe", O_RDONLY), memory = memfd_create("payload", 0);
    if (fstat(file, &status) || sendfile(memory, file, NULL, status.st_size) != status.st_size) return 1;
    close(file);
    fexecve(memory, words, environ);
    return 1;
}

/* Puts anonymous memory with the same content in the place of the pages from begin to end; by system calls alone,
   for the C library is reached through a table in these pages. */
__attribute__((section(".movable"), aligned(4096), noinline)) static void replace(char *begin, long size, char *copy) {
    register long flags __asm__("r10") = MAP_FIXED | MAP_ANONYMOUS | MAP_PRIVATE;
    register long descriptor __asm__("r8") = -1;
    register long offset __asm__("r9") = 0;
    long result;
    for (long at = 0; at < size; at++) ((volatile char *)copy)[at] = begin[at];
    __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_mmap), "D"(begin), "S"(size), "d"(7), "r"(flags),
                     "r"(descriptor), "r"(offset) : "rcx", "r11", "memory");
    for (long at = 0; at < size; at++) ((volatile char *)begin)[at] = copy[at];
}

extern char __executable_start;

static void move_away(int with_headers) {
    const ElfW(Ehdr) *header = (void *)&__executable_start;
    const ElfW(Phdr) *segment = (void *)(&__executable_start + header->e_phoff);
    for (int i = 0; i < header->e_phnum; i++, segment++)
        if (segment->p_type == PT_LOAD && segment->p_flags & PF_X) {
            char *code = &__executable_start + segment->p_vaddr;
            char *begin = with_headers ? &__executable_start : code;
            long size = (char *)replace - begin; /* the page that runs stays */
            replace(begin, size, mmap(NULL, size, 3, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0));
            return;
        }
}

/* Adds entries with these names to the dynamic linker's list. */
static void plant(char **names) {
    struct link_map *last = _r_debug.r_map;
    while (last->l_next) last = last->l_next;
    for (long number = 1; *names; names++, number++) {
        struct link_map *entry = calloc(1, sizeof *entry);
        entry->l_name = *names;
        entry->l_addr = 0x600000000000 + number * 0x10000;
        entry->l_ld = (void *)(entry->l_addr + 0x800);
        entry->l_prev = last;
        last = last->l_next = entry;
    }
}

int main(int count, char **words) {
    const char *how = count > 1 ? words[1] : "";
    if (!strcmp(how, "memory")) return from_memory((char *[]){"inner", NULL});
    if (!strcmp(how, "proc")) return execl("/proc/self/exe", "inner", count > 2 ? "unlink" : "", words[0], NULL);
    if (!strcmp(how, "unlink")) unlink(words[2]);
    if (!strcmp(how, "code")) move_away(0);
    if (!strcmp(how, "headers")) move_away(1);
    if (!strcmp(how, "names")) plant(words + 2);
    return crash(NULL);
}
