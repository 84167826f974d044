"""The shell script that the kernel calls for each crash: it decides in milliseconds, before any Python starts."""

#: Exit status of the program when there is no bundle and the log says why: one that no failing Python has.
NO_BUNDLE = 10

TEXT = """\
#!/bin/sh
# Called by the kernel for each crash, see core(5): the core on standard input, and as arguments process ID, time,
# user ID, since Linux 6.16 a descriptor of the process (pidfd_open(2)), and the path of the program with "!" for "/".
# Turn it on:  echo '@PATTERN@' > /proc/sys/kernel/core_pattern
# Turn it off: echo core > /proc/sys/kernel/core_pattern
umask 077
LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
cd @DIR@ || exit 1
pid=$1 time=$2 user=0 pidfd=
shift 2
case $1 in
'' | *[!0-9]*) ;; # a pattern of an earlier version, without the user
*) user=$1 && shift ;;
esac
case $1 in
'' | *[!0-9]*) ;;
*) pidfd=--pidfd=$1 && shift ;;
esac
program=$* # older kernels split it at its spaces
case $pid$time in '' | *[!0-9]*) echo "usage: corebox-handler PID TIME USER PROGRAM <CORE" >&2 && exit 2 ;; esac
exec >/dev/null 2>&1 # the kernel gives neither, and what is opened next would get their numbers
name=${program% (deleted)}
name=${name##*!}
case $name in *[!A-Za-z0-9._+-]*) name=$(printf %s "$name" | tr -c 'A-Za-z0-9._+-' _) ;; esac
case $name in '' | [.-]*) name=_$name ;; esac
[ -d hours ] && [ -d queue ] || mkdir -p hours queue

# Every outcome is a line of the log. The program writes its own; here are those that it does not come to.
log() {
    printf '%s %s (process %s, user %s): %s\\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$name" "$pid" "$user" "$1" \\
        >>handler.log
}

# only_count WHY: no bundle of this crash, but a number.
only_count() {
    printf '%s (user %s)\\n' "$name" "$user" >>"$crashes.count"
    number=$(($(wc -l <"$crashes.count")))
    log "only counted, number $number of this program in this hour: $1"
    if [ $((number % 4096)) -eq 0 ]; then
        mv -f handler.log handler.log.1
    fi
    exit 0
}

# Who it is for the limits: subordinate users (subuid(5)) count as the one whom they belong to.
who=$user
if [ "$user" -ge 65536 ] && [ -r /etc/subuid ]; then
    while IFS=: read -r owner first count; do
        case $first:$count in :* | *: | *[!0-9:]*) continue ;; esac
        if [ "$user" -ge "$first" ] && [ "$user" -lt $((first + count)) ]; then
            who=$(id -u -- "$owner" 2>/dev/null) || who=$user
            break
        fi
    done </etc/subuid
fi

# The first crashes of each program of each user in an hour become bundles. noclobber: only one gets each number.
set -- $(printf %s "$program" | cksum)
crashes=hours/$((time / 3600)).$who.$1-$2
number=1
while ! (set -C && : >"$crashes.$number") 2>/dev/null; do
    number=$((number + 1))
    if [ "$number" -gt @PER_HOUR@ ]; then
        only_count "the limit for a program and hour is @PER_HOUR@"
    fi
done

# Some are made at once, some wait, and with each that waits its process, which keeps its memory. The first crash of a
# program in an hour has more places to wait than another one has.
places=@PLACES@
if [ "$number" -eq 1 ]; then
    places=@PLACES_OF_FIRST@
fi

# take DESCRIPTOR NAME PLACES WHY: hold the lock of one of these places, or only count.
take() {
    place=1
    while eval "exec $1>\"queue/$2$place\"" && ! flock -n "$1"; do
        place=$((place + 1))
        if [ "$place" -gt "$3" ]; then
            rm -f "$crashes.$number" # so that the next one can have it
            only_count "$4"
        fi
    done
}

# run DESCRIPTOR NAME PLACES: wait until one of these is free, and hold its lock.
run() {
    place=0
    while eval "exec $1>\"queue/$2running.$place\"" && ! flock -w 1 "$1"; do
        place=$(((place + 1) % $3))
    done
}

# No user gets more than half of the places, and one of those where gatherers run is left for others.
take 7 "$who." $((places / 2)) "too many crashes of this user at once"
take 9 "" "$places" "too many crashes at once"
run 6 "$who." @AT_ONCE_OF_USER@
run 8 "" @AT_ONCE@

# It gives up by itself at SIGALRM; one that cannot even do that has no lock that others wait for.
timeout -s ALRM -k 60 @MAX_SECONDS@ @PYTHON@ -S @DIR@/corebox-gather.pyz --handle=@DIR@ @OPTIONS@ \
    $pidfd "--crash=$pid,$time,$user,$program" 6>&- 7>&- 8>&- 9>&-
status=$?
case $status in 0 | @NO_BUNDLE@) exit "$status" ;; esac # it has said in the log what became of the crash

# The program did not start, or was killed. A core that it has not begun to read is kept, as far as there is room.
for core in *"-$pid-$time.core"; do
    if [ -e "$core" ]; then
        log "the gatherer ended with status $status; $core is what it has read"
        exit "$status"
    fi
done
if [ "$(dd bs=4 count=1 2>/dev/null | tr -d '\\177')" != ELF ]; then
    log "the gatherer ended with status $status; nothing is kept"
    exit "$status"
fi
set -- $(du -sk .)
room=$((@MAX_BYTES@ / 1024 - $1))
set -- $(df -Pk .)
shift 7 # the line of titles
free=$(($4 - @KEEP_FREE@ / 1024))
if [ "$free" -lt "$room" ]; then
    room=$free
fi
if [ "$room" -lt 64 ]; then
    log "the gatherer ended with status $status; there is no room for the raw core"
    exit "$status"
fi
core=$name-$pid-$time.core
if (ulimit -f $((room * 2)) && { printf '\\177ELF' && exec cat; } >"$core"); then
    log "the gatherer ended with status $status; kept the raw core $core"
else
    log "the gatherer ended with status $status; kept the raw core $core, cut where the room ended"
fi
exit "$status"
"""
