// Crashes with values that are hard to print, in a recursion, or with many threads: as its first argument says.
#include <cstdio>
#include <cstring>
#include <pthread.h>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

struct Plain { int number; };
struct Deadly { int number; };   // the printers beside this program crash gdb with it,
struct Endless { int number; };  // and never come back from it
struct Long { int number; };

int *volatile nowhere;

[[gnu::always_inline]] inline int touch(int *place) { return *place + 1; }

[[gnu::noinline]] int fall(const Plain &plain, int number) {
    std::vector<int> unused;  // optimised out
    return touch(nowhere) + plain.number + number;
}

[[gnu::noinline, gnu::optimize("O0")]] int kill_gdb(Deadly deadly) { return fall(Plain{deadly.number}, 7) + 1; }
[[gnu::noinline, gnu::optimize("O0")]] int hold_gdb(Endless endless) { return kill_gdb(Deadly{endless.number}) + 1; }
[[gnu::noinline, gnu::optimize("O0")]] int write_much(Long much, const char *text) {
    int a0 = 0, a1 = 1, a2 = 2, a3 = 3, a4 = 4, a5 = 5, a6 = 6, a7 = 7, a8 = 8, a9 = 9, b0 = 0, b1 = 1, b2 = 2, b3 = 3;
    int b4 = 4, b5 = 5, b6 = 6, b7 = 7, b8 = 8, b9 = 9, c0 = 0, c1 = 1;
    int sum = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + b0 + b1 + b2 + b3 + b4 + b5 + b6 + b7 + b8 + b9;
    return hold_gdb(Endless{much.number}) + sum + c0 + c1 + static_cast<int>(strlen(text));
}

[[gnu::noinline, gnu::optimize("O0")]] int even(int level);
[[gnu::noinline, gnu::optimize("O0")]] int odd(int level) { return even(level + 1) + 1; }
[[gnu::noinline, gnu::optimize("O0")]] int even(int level) { return odd(level + 1) + 1; }

// Names without end: of a function, and of a variable of it.
template <int... numbers> struct Numbered {
    [[gnu::noinline, gnu::optimize("O0")]] static int store(const char *text) {
        int a_variable_whose_name_is_so_long_that_no_report_has_room_for_all_of_it_and_ends_it_after_a_hundred_and_twenty_eight_letters_of_it = 1;
        return touch(nowhere) + a_variable_whose_name_is_so_long_that_no_report_has_room_for_all_of_it_and_ends_it_after_a_hundred_and_twenty_eight_letters_of_it + *text;
    }
};
template <int... numbers> int store(std::integer_sequence<int, numbers...>, const char *text) { return Numbered<numbers...>::store(text); }
// A stack that is deep and does not repeat itself: a tree of calls, down one of its paths.
[[gnu::noinline, gnu::optimize("O0")]] int left(unsigned path, int depth);
[[gnu::noinline, gnu::optimize("O0")]] int right(unsigned path, int depth) {
    if (depth == 300) return store(std::make_integer_sequence<int, 400>(), "text");
    path = path * 1664525 + 1013904223;
    return (path >> 31 ? left(path, depth + 1) : right(path, depth + 1)) + 1;
}
int left(unsigned path, int depth) { return right(path, depth) + 1; }

void *wait_here(void *) {
    for (;;) pause();
}

int main(int, char **words) {
    std::string long_text(400, 'x');
    if (!strcmp(words[1], "deep")) return right(1, 0);
    if (!strcmp(words[1], "recursion")) return even(0);
    if (!strcmp(words[1], "threads")) {
        pthread_attr_t small;
        pthread_attr_init(&small);
        pthread_attr_setstacksize(&small, 1 << 16);
        pthread_t thread;
        for (int count = 0; count < 2000; ++count)
            if (pthread_create(&thread, &small, wait_here, nullptr)) return 1;
        sleep(1);
        return touch(nowhere);
    }
    return write_much(Long{1}, long_text.c_str());
}
