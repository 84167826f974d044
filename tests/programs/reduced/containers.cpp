// Crashes with containers on every stack, some of them holding much, beside a heap of strings that nobody points to.
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

struct Node {
    std::string name;
    Node *next;
    std::vector<int> numbers;
};

static std::map<std::string, std::vector<std::string>> global_table;
thread_local int thread_number = 7;

__attribute__((noinline)) void descend(int depth, Node *list, std::shared_ptr<Node> shared)
{
    std::vector<std::string> names;
    for (int i = 0; i < 20; i++)
        names.push_back("a name that is too long to be kept in the string itself " + std::to_string(i + depth));
    std::map<int, std::string> table;
    for (int i = 0; i < 15; i++)
        table[i] = names[i];
    if (depth)
        descend(depth - 1, list->next ? list->next : list, shared);
    else
        *(volatile int *)0 = names.size();
    asm volatile("" ::"r"(&names), "r"(&table));
}

int main()
{
    std::vector<std::string> many;
    for (int i = 0; i < 500000; i++)
        many.push_back("filler filler filler filler filler " + std::to_string(i));
    Node *head = nullptr;
    for (int i = 0; i < 1000; i++)
        head = new Node{"the name of node number " + std::to_string(i), head, {i, i + 1, i + 2}};
    for (int i = 0; i < 100; i++)
        global_table["key " + std::to_string(i)].push_back(many[i]);
    for (int i = 0; i < 4; i++)
        std::thread([i, &many] {
            thread_number = i;
            std::string text = many[i * 1000];
            std::map<int, int> squares;
            for (int k = 0; k < 10; k++)
                squares[k] = k * k;
            for (;;)
                pause();
        }).detach();
    sleep(1);
    descend(5, head, std::make_shared<Node>(*head));
}
