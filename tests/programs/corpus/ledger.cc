// A bookkeeping program with one bug for each word that it knows: ledger BUG PATH. RELEASE (1 to 3) is its version:
// between releases lines move, structures grow, helpers come and go, and functions are called by other ways.
#include <cassert>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#ifndef RELEASE
#define RELEASE 1
#endif

namespace {

// What the compiler must not see through.
volatile int one = 1;
volatile int zero = 0;
void *volatile hidden = nullptr;

template <typename T> T *opaque(T *value) {
    hidden = const_cast<void *>(static_cast<const volatile void *>(value));
    return static_cast<T *>(const_cast<void *>(const_cast<const void *>(static_cast<void *>(hidden))));
}

struct Customer {
#if RELEASE >= 2
    long created = 0;
#endif
    std::string name;
    int discount = 3;
};

struct Order {
    int number = 4711;
#if RELEASE >= 3
    std::string note;
#endif
    std::vector<int> lines{5, 7, 9};
    Customer *customer = nullptr;
    const char *text = nullptr;
    void (*changed)(Order &) = nullptr;
};

#if RELEASE >= 2
void trace(const char *what) {
    if (one > 1)
        fprintf(stderr, "ledger: %s\n", what);
}
#else
void trace(const char *) {}
#endif

[[noreturn]] void die(const char *why) {
    fprintf(stderr, "ledger: %s\n", why);
    abort();
}

// 1: an order without a customer
int discount_of(const Order &order) {
    trace("discount");
    return order.customer->discount * one;
}

int net_price(const Order &order) { return 100 - discount_of(order); }

// 2: a text that was never set goes to the C library
size_t text_width(const Order &order) {
#if RELEASE == 3
    trace("width");
#endif
    return strlen(order.text) + one;
}

// 3: a shape is drawn after it was freed
}  // namespace

struct Shape {
    virtual ~Shape() = default;
    virtual int area() const { return one; }
    long padding[3] = {1, 2, 3};
};

struct Square : Shape {
    int area() const override { return 4 * one; }
};

namespace {

void *volatile reused = nullptr;

int draw(const Shape *shape) { return shape->area() + one; }

int draw_cached() {
    Shape *shape = opaque<Shape>(new Square);
    delete shape;
    reused = malloc(sizeof(Square));
    memset(reused, 0x41, sizeof(Square));
    return draw(opaque(shape));
}

// 4: freed twice
void release_buffer(char *buffer) {
    trace("release");
    free(buffer);
}

void close_ledger() {
    char *buffer = opaque(static_cast<char *>(malloc(4000)));
    char *wall = opaque(static_cast<char *>(malloc(16)));
    release_buffer(buffer);
    release_buffer(buffer);
    release_buffer(wall);
}

// 5: written past the end of a block, noticed when it is freed
void fill_row(char *row, int size) {
    for (int at = 0; at < size + 24 * one; ++at)
        row[at] = 'x';
}

void print_row() {
    char *row = opaque(static_cast<char *>(malloc(2040)));
    char *next = opaque(static_cast<char *>(malloc(2040)));
    fill_row(row, 2040);
    free(next);
    free(row);
}

// 6: a formula that refers to itself
int formula(int level);

int term(int level) {
    volatile char used[200];
    used[0] = static_cast<char>(level);
    return formula(level + 1) + used[0];
}

int formula(int level) {
    volatile char used[300];
    used[0] = static_cast<char>(level);
#if RELEASE >= 2
    if (level % 7 == 0)
        trace("formula");
#endif
    return term(level + 1) + used[0];
}

// 7: a list of lists without end
int depth_of(const std::vector<int> &values, int level) {
    volatile char used[500];
    used[0] = static_cast<char>(level);
    return depth_of(values, level + values[0]) + used[0];
}

// 8: a name too long for its field
void copy_name(const char *name) {
    char field[12];
    char *to = opaque(field);
    while (*name)
        *to++ = *name++;
    hidden = field;
}

// 9: a line that is not there
int pick(const Order &order, size_t at) { return order.lines.at(at); }

// 10: two assertions of one function
void check(const Order &order) {
    trace("check");
    assert(order.number > 0);
    assert(!order.lines.empty());
}

// 11 and 12: the program's own way to give up, from two places
void open_journal(const char *path) {
    if (!opaque(fopen(path, "r")))
        die("cannot open the journal");
}

void apply_rule(int rule) {
    if (rule < 10 * one)
        die("no such rule");
}

// 13: no days in the period
int per_day(int amount, int days) { return amount / days; }

// 14: a pointer made of a number
int at_handle(unsigned long handle) { return *reinterpret_cast<volatile int *>(handle << (20 * one)); }

// 15: a constant is changed
void capitalise(const char *word) { *opaque(const_cast<char *>(word)) = 'L'; }

// 16: nobody registered a callback
void notify(Order &order) {
    order.changed(order);
    trace("notified");
}

// 17: a count read from a damaged file
std::vector<char> read_table(unsigned long count) { return std::vector<char>(count << (40 * one)); }

// 18: called by the base's constructor
}  // namespace

struct Account {
    Account() { balance(); }
    virtual ~Account() = default;
    [[gnu::noinline]] void balance() { compute(); }
    virtual void compute() = 0;
};

struct Savings : Account {
    void compute() override { zero = 1; }
};

namespace {

// 19: a worker that nobody joined
void schedule() {
    std::thread worker([] { pause(); });
    trace("scheduled");
}

// 20: an error of its own that nobody catches
struct RateError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

double rate(const std::string &currency) {
    if (currency != "EUR")
        throw RateError("no rate for " + currency);
    return one;
}

// 21: the customer of an order's list
int first_line(const std::map<int, Order *> &orders) { return orders.begin()->second->lines[0]; }

// A failure handler as logging libraries have it: every release but the first.
void write_trace() { (void)!write(2, "*** failure ***\n", 16); }
void failure_handler(int) {
    write_trace();
    abort();
}

const std::map<std::string, std::function<void()>> bugs = {
    {"discount", [] { Order order; zero = net_price(*opaque(&order)); }},
    {"width", [] { Order order; zero = static_cast<int>(text_width(*opaque(&order))); }},
    {"draw", [] { zero = draw_cached(); }},
    {"close", close_ledger},
    {"row", print_row},
    {"formula", [] { zero = formula(1); }},
    {"depth", [] { std::vector<int> values{1}; zero = depth_of(values, 1); }},
    {"name", [] { copy_name("a customer with a name far longer than twelve bytes, and then some"); }},
    {"pick", [] { Order order; zero = pick(*opaque(&order), 7); }},
    {"number", [] { Order order; order.number = -one; check(*opaque(&order)); }},
    {"journal", [] { open_journal("/nowhere/journal"); }},
    {"rule", [] { apply_rule(3); }},
    {"days", [] { zero = per_day(1000, zero); }},
    {"handle", [] { zero = at_handle(0x1122334); }},
    {"capital", [] { capitalise("ledger"); }},
    {"notify", [] { Order order; notify(*opaque(&order)); }},
    {"table", [] { zero = static_cast<int>(read_table(64).size()); }},
    {"account", [] { Savings(); }},
    {"schedule", schedule},
    {"rate", [] { zero = static_cast<int>(rate("XAU")); }},
    {"orders", [] { std::map<int, Order *> orders{{1, opaque<Order>(nullptr)}}; zero = first_line(orders); }},
};

// Ways to a bug.
void run_batch(const std::string &bug) {
    trace("batch");
    bugs.at(bug)();
}

void on_request(const std::string &bug) {
#if RELEASE >= 3
    const auto again = bug;
    run_batch(again);
#else
    bugs.at(bug)();
#endif
}

const char *wanted;

int by_age(const void *, const void *) {
    on_request(wanted);
    return 0;
}

void import_file(const std::string &bug) {
    wanted = bug.c_str();
    int ages[] = {3, 1, 2};
    qsort(ages, 3, sizeof *ages, by_age);
}

void serve(const std::string &bug) { std::thread(on_request, bug).join(); }

}  // namespace

int main(int, char **words) {
#if RELEASE >= 2
    for (int each : {SIGSEGV, SIGBUS, SIGFPE, SIGILL})
        signal(each, failure_handler);
#endif
    const std::string bug = words[1], path = words[2];
    if (path == "batch")
        run_batch(bug);
    if (path == "import")
        import_file(bug);
    if (path == "serve")
        serve(bug);
    return 0;
}
