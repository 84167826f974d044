// Calls code that it makes itself, as a compiler at run time does, on several processors; the argument says which.
#include <string.h>
#include <sys/mman.h>

typedef void function(void *);
static volatile int sink;

static void crash(void) { *(volatile int *)16 = 1; sink++; }
static void call(function *called, function *argument) { called((void *)argument); sink++; }

// With a frame record or frame pointer, by the stack pointer alone, and one that crashes and has no frame at all.
#if defined __aarch64__
static const unsigned framed[] = {
    0xa9be7bfd, 0x910003fd, 0xd63f0000, 0xa8c27bfd, 0xd65f03c0};         // stp; mov; blr x0; ldp; ret
static const unsigned frameless[] = {0xf81f0ffe, 0xd63f0000, 0xf84107fe, 0xd65f03c0};  // str x30; blr x0; ldr; ret
static const unsigned leaf[] = {0xd2800001, 0xb9000021, 0xd65f03c0};     // mov x1, #0; str w1, [x1]; ret
#elif defined __i386__
static const unsigned char framed[] = {0x55, 0x89, 0xe5, 0x83, 0xec, 0x08, 0xff, 0x55, 0x08, 0xc9, 0xc3};
static const unsigned char frameless[] = {0x83, 0xec, 0x0c, 0xff, 0x54, 0x24, 0x10, 0x83, 0xc4, 0x0c, 0xc3};
static const unsigned char leaf[] = {0x31, 0xc0, 0x89, 0x00, 0xc3};
#elif defined __powerpc64__
static const unsigned framed[] = {0x7c0802a6, 0xf8010010, 0xf821ffc1, 0x7c6903a6, 0x7c6c1b78, 0x4e800421,
                                  0x38210040, 0xe8010010, 0x7c0803a6, 0x4e800020};
static const unsigned leaf[] = {0x38600000, 0x90630000, 0x4e800020};     // li r3, 0; stw r3, 0(r3); blr
#elif defined __s390x__
static const unsigned char framed[] = {0xeb, 0xef, 0xf0, 0x70, 0x00, 0x24, 0xa7, 0xfb, 0xff, 0x60, 0x0d, 0xe2,
                                       0xeb, 0xef, 0xf1, 0x10, 0x00, 0x04, 0x07, 0xfe};
static const unsigned char leaf[] = {0xa7, 0x19, 0x00, 0x00, 0x50, 0x10, 0x10, 0x00, 0x07, 0xfe};
#endif

#if !defined __aarch64__ && !defined __i386__
#define frameless framed
#endif

static function *made(const void *bytes, unsigned long size)
{
    void *memory = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(memory, bytes, size);
    __builtin___clear_cache(memory, (char *)memory + size);
    return (function *)memory;
}

int main(int count, char **words)
{
    const char *kind = count > 1 ? words[1] : "";
    if (!strcmp(kind, "framed")) call(made(framed, sizeof framed), (function *)crash);
    if (!strcmp(kind, "frameless")) call(made(frameless, sizeof frameless), (function *)crash);
    if (!strcmp(kind, "leaf")) call(made(leaf, sizeof leaf), 0);
    if (!strcmp(kind, "null-call")) call(0, 0);
    return 0;
}
