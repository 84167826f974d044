// Crashes whose true stack is known, where unwinding is hard; the argument says how.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

typedef void function(void *);
static volatile int sink;

static void crash(void) { *(volatile int *)16 = 1; sink++; }
static void handle(int number) { (void)number; crash(); }
static void call(function *called, function *argument) { called((void *)argument); sink++; }
static int recurse(int depth) { volatile char room[256]; room[0] = depth; return recurse(depth + 1) + room[0]; }

// Code as a compiler at run time makes it: with a frame pointer, without one, without a frame.
static const unsigned char framed[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x20, 0xff, 0xd7, 0xc9, 0xc3};
static const unsigned char frameless[] = {0x48, 0x83, 0xec, 0x18, 0xff, 0xd7, 0x48, 0x83, 0xc4, 0x18, 0xc3};
static const unsigned char leaf[] = {0x31, 0xc0, 0x89, 0x00, 0xc3};

static function *made(const unsigned char *bytes, size_t size)
{
    void *memory = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return (function *)memcpy(memory, bytes, size);
}

// Assembly by hand, which says nothing of its frame.
__asm__(".globl by_hand, leaf_by_hand\n.type by_hand, @function\n.type leaf_by_hand, @function\n"
        "by_hand: sub $24, %rsp\n call *%rdi\n add $24, %rsp\n ret\n.size by_hand, . - by_hand\n"
        "leaf_by_hand: xor %eax, %eax\n mov %eax, (%rax)\n ret\n.size leaf_by_hand, . - leaf_by_hand\n");
void by_hand(void *), leaf_by_hand(void *);

// What an overrun of a buffer does to the frame of a function.
__attribute__((optimize("no-stack-protector", "no-omit-frame-pointer"))) static void smash(uint64_t address)
{
    uint64_t *frame = __builtin_frame_address(0);
    frame[0] = 0x4242424242424242;
    frame[1] = address;
}

static void on_other_stack(void)
{
    stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
    sigaltstack(&stack, 0);
    sigaction(SIGSEGV, &action, 0);
}

// What a debugger finds the list of the modules by; build with -z norelro. A static program has none.
#pragma weak _DYNAMIC
static void hide_list(void)
{
    for (ElfW(Dyn) *each = _DYNAMIC; each->d_tag != DT_NULL; each++)
        if (each->d_tag == DT_DEBUG) each->d_un.d_ptr = 0;
}

static void *in_thread(void *kind)
{
    on_other_stack();
    call(made(leaf, sizeof leaf), kind);
    return 0;
}

int main(int count, char **words)
{
    const char *kind = count > 1 ? words[1] : "";
    pthread_t thread;
    if (count > 3 && !strcmp(words[3], "unlisted")) hide_list();
    if (!strcmp(kind, "smashed")) smash(0x4141414141414141);
    if (!strcmp(kind, "smashed-low")) smash(0x41414141);
    if (!strcmp(kind, "smashed-heap")) smash((uint64_t)malloc(32));
    if (!strcmp(kind, "null-call")) call(0, 0);
    if (!strcmp(kind, "handled-call")) on_other_stack(), call(0, 0);
    if (!strcmp(kind, "handled-smash")) on_other_stack(), smash(0x4141414141414141);
    if (!strcmp(kind, "small-call")) call((function *)1234, 0);
    if (!strcmp(kind, "framed")) call(made(framed, sizeof framed), (function *)crash);
    if (!strcmp(kind, "frameless")) call(made(frameless, sizeof frameless), (function *)crash);
    if (!strcmp(kind, "leaf")) call(made(leaf, sizeof leaf), 0);
    if (!strcmp(kind, "by-hand")) by_hand(crash);
    if (!strcmp(kind, "leaf-by-hand")) leaf_by_hand(0);
    if (!strcmp(kind, "overflow")) on_other_stack(), recurse(1);
    if (!strcmp(kind, "overflow-plain")) recurse(1);
    if (!strcmp(kind, "other-stack")) pthread_create(&thread, 0, in_thread, 0), pthread_join(thread, 0);
    if (!strcmp(kind, "vdso")) clock_gettime(CLOCK_REALTIME, (struct timespec *)16);
    if (!strcmp(kind, "library")) call((function *)dlsym(dlopen(words[2], RTLD_NOW), "enter"), (function *)crash);
    return 0;
}
