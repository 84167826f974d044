/* Crashes as its first argument says, after it has told how it was started. Compiled with -DLIBRARY it is the library. */
#ifdef LIBRARY
int answer(void) { return 42; }
#else
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int answer(void);
extern char **environ;

int main(int count, char **words)
{
    const char *how = count > 1 ? words[1] : "crash";
    printf("library %d, words", answer());
    for (int each = 1; each < count; each++) printf(" [%s]", words[each]);
    printf("\n");
    fflush(stdout);
    if (!strcmp(how, "environment")) for (char **each = environ; *each; each++) puts(*each);
    if (!strcmp(how, "exit")) return 7;
    if (!strcmp(how, "environment")) return 0;
    if (!strcmp(how, "echo")) {
        char line[80];
        return fgets(line, sizeof line, stdin) ? fputs(line, stdout), 0 : 1;
    }
    if (!strcmp(how, "fork")) {
        int status = 0;
        pid_t child = fork();
        if (child < 0) return perror("fork"), 3;
        if (child == 0) _exit(5);
        waitpid(child, &status, 0);
        return WEXITSTATUS(status);
    }
    if (!strcmp(how, "write")) return fopen("/opt/x", "w") || fopen("/x", "w") || !fopen("x", "w");
    return *(volatile int *)0;
}
#endif
