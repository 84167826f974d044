// hang END: two threads hold what the other wants, a third waits for one of them.
#include <chrono>
#include <csignal>
#include <mutex>
#include <string>
#include <sys/prctl.h>
#include <thread>
#include <unistd.h>

namespace {

std::mutex orders, stock;
volatile int ready = 0;

void pause_until(int count) {
    while (ready < count)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

[[gnu::noinline]] void reserve() {
    std::lock_guard first(orders);
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    pause_until(2);
    std::lock_guard second(stock);
}

[[gnu::noinline]] void restock() {
    std::lock_guard first(stock);
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    pause_until(2);
    std::lock_guard second(orders);
}

[[gnu::noinline]] void summary() { std::lock_guard only(orders); }

bool all_wait(pid_t process) {
    (void)process;
    std::this_thread::sleep_for(std::chrono::seconds(1));
    return true;
}

}  // namespace

int main() {
    prctl(PR_SET_DUMPABLE, 1);
    std::thread one(reserve), two(restock);
    pause_until(2);
    std::thread three(summary);
    all_wait(getpid());
    if (!fork())
        _exit(kill(getppid(), SIGABRT));
    one.join();
}
