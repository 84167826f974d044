"""What ``corebox help TOPIC`` says of what is no command."""

TOPICS = {
    "subject": """SUBJECT is the crash that a command is about:

\b
FILE.corebox         a bundle, as gather writes it
NAME[:TAG]           an image in the store; corebox images lists them
ID                   an image by its ID or digest, or the beginning of one
HOST/REPOSITORY:TAG  an image in a registry, which is pulled if the store does not have it
CORE                 a bare core; only for info, verify and recover, and with --from

A file with that name is preferred to an image.
""",
    "status": """Exit status of every command:

\b
0    done
1    done, but something is not right: a file does not match the core, a bundle is incomplete
2    wrong usage
3    bad input: not a core, a damaged or hostile bundle
4    this machine lacks something: no engine, no space, the registry does not answer
5    a bug in corebox
130  interrupted

corebox run and corebox shell end with the status of gdb or of the script.
""",
    "environment": """Environment variables:

\b
COREBOX_HOME     where the store is; ~/.local/share/corebox without it
COREBOX_CONFIG   the configuration file; corebox config shows where it is without it
COREBOX_DEBUG    1 prints a traceback when corebox itself fails
DEBUGINFOD_URLS  debuginfod servers to ask for debug files and sources
DOCKER_HOST, CONTAINER_HOST  where Docker and Podman listen
COREBOX_KEYRINGS  further keys that repositories may be signed with
NO_COLOR         no colours, not in gdb either; CLICOLOR=0 and TERM=dumb likewise
CLICOLOR_FORCE   colours also where no terminal is
FORCE_HYPERLINK  links also on terminals that are not known to have them
""",
    "places": """PLACE, for --from, is where files of the crash are looked for, by build ID:

\b
a folder         with debug files or programs anywhere below it
a file           .deb, .rpm, .apk, tar, zip, a wheel, an AppImage, an ELF file, another bundle
an image         docker://REF, oci:DIR, docker-archive:FILE, docker-daemon:NAME
                 or the name of one in the store
debian:RELEASE   Debian's archive, by path and package; ubuntu:RELEASE likewise
https://SERVER   a debuginfod server, or an apt, rpm or apk repository

Nothing is taken without proof: the build ID in the core's memory, else the pages that are in the core.
""",
}
