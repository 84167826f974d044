// checks KIND: a CHECK or LOG(FATAL) of glog, or a fault under its failure handler.
#include <glog/logging.h>
#include <string>
#include <vector>

[[gnu::noinline]] void ship(const std::vector<int> &lines) { CHECK_EQ(lines.size(), 3u) << "incomplete"; }
[[gnu::noinline]] void book(const int *customer) { CHECK(customer != nullptr) << "no customer"; }
[[gnu::noinline]] void close_journal() { LOG(FATAL) << "the journal is lost"; }
[[gnu::noinline]] int read_order(const int *order) { return *order; }

int main(int, char **words) {
    google::InitGoogleLogging(words[0]);
    google::InstallFailureSignalHandler();
    FLAGS_logtostderr = true;
    const std::string kind = words[1];
    if (kind == "equal")
        ship({1, 2});
    if (kind == "pointer")
        book(nullptr);
    if (kind == "fatal")
        close_journal();
    return read_order(nullptr);
}
