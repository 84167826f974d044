// handled HANDLER FAULT: a fault under a failure handler that ends the process in its own way.
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unistd.h>

namespace {

int *volatile nothing = nullptr;
volatile int zero = 0;

void flush_logs() {
    signal(SIGABRT, SIG_DFL);
    abort();
}
void with_information(int, siginfo_t *, void *) { flush_logs(); }
void without_information(int) { flush_logs(); }
void sends_again(int number, siginfo_t *, void *) {
    signal(number, SIG_DFL);
    kill(getpid(), number);
}

[[gnu::noinline]] int read_order(const int *order) { return *order + 1; }
[[gnu::noinline]] int average(int total, int count) { return total / count; }
[[gnu::noinline]] void check_order() {
    if (!zero)
        abort();
}
[[gnu::noinline]] int endless(int level) {
    volatile char used[400];
    used[0] = static_cast<char>(level);
    return endless(level + 1) + used[0];
}
[[gnu::noinline]] void visit(void (*each)()) {
    each();
    zero = 0;
}
[[gnu::noinline]] void timer(int) { zero = read_order(nothing); }

}  // namespace

int main(int, char **words) {
    const std::string handler = words[1], fault = words[2];
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    action.sa_sigaction = handler == "again" ? sends_again : with_information;
    if (handler == "plain") {
        action.sa_flags = 0;
        action.sa_handler = without_information;
    }
    stack_t other = {};
    other.ss_sp = malloc(1 << 16);
    other.ss_size = 1 << 16;
    if (handler != "plain")
        sigaltstack(&other, nullptr);
    for (int number : {SIGSEGV, SIGFPE, SIGBUS})
        sigaction(number, &action, nullptr);
    if (fault == "abort") {
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGABRT, &action, nullptr);
        check_order();
    }
    if (fault == "read")
        zero = read_order(nothing);
    if (fault == "divide")
        zero = average(100, zero);
    if (fault == "call")
        visit(reinterpret_cast<void (*)()>(nothing));
    if (fault == "overflow")
        zero = endless(0);
    if (fault == "timer") {
        signal(SIGALRM, timer);
        raise(SIGALRM);
    }
    return 0;
}
