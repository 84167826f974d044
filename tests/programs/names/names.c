/* Dies in a thread and a library of hostile names; the text is in what a debugger shows of arguments and locals too. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>

static void *run(void *library)
{
    prctl(PR_SET_NAME, "\033[2J\xe2\x80\xae<b>\n");
    return (void *)(long)((int (*)(const char *))dlsym(library, "fail"))("\033]0;owned\007<script>\xe2\x80\xae");
}

int main(int count, char **words)
{
    void *library = dlopen(words[1], RTLD_NOW);
    pthread_t thread;

    if (!library || pthread_create(&thread, 0, run, library)) {
        puts(dlerror());
        return 1;
    }
    return pthread_join(thread, 0) + count;
}
