/* A customer's libthread_db: gdb loads it beside their libc. It tries in native code what Python cannot, and then all that
   the hostile script tries, from here: SCRIPT is its path, and gdb has the Python to run it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static void attempt(const char *name, long result)
{
    printf("%s %s %ld\n", result < 0 ? "refused" : "REACHED", name, result);
}

#ifdef __x86_64__
static long i386(long number, long first)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first) : "memory", "r8", "r9", "r10", "r11");
    return (int)result;
}
#endif

__attribute__((constructor)) static void loaded(void)
{
    uint64_t arguments[8] = {CLONE_NEWUSER}; /* struct clone_args: flags first */
    int (*run)(const char *) = (int (*)(const char *))dlsym(RTLD_DEFAULT, "PyRun_SimpleString");
    int (*ensure)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "PyGILState_Ensure");
    void (*release)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "PyGILState_Release");

    puts("native code runs");
#ifdef __x86_64__
    attempt("user namespace by the ABI of i386", i386(310, CLONE_NEWUSER));
    attempt("keyring by the ABI of i386", i386(288, 0));
    attempt("user namespace by the ABI of x32", syscall(0x40000000 + SYS_unshare, CLONE_NEWUSER));
#endif
    attempt("user namespace by clone3", syscall(435, arguments, sizeof arguments));
    attempt("bpf", syscall(SYS_bpf, 0, arguments, sizeof arguments));
    attempt("userfaultfd", syscall(SYS_userfaultfd, 0));
    attempt("kernel module", syscall(SYS_init_module, arguments, sizeof arguments, ""));
    attempt("file by its handle", syscall(SYS_open_by_handle_at, -100, arguments, 0));
    fflush(stdout);
    if (run && ensure && release) {
        int state = ensure();
        run("exec(compile(open('" SCRIPT "').read(), '" SCRIPT "', 'exec'), {'__file__': '" SCRIPT "'})");
        release(state);
    }
}
