"""systemd's part when systemd-coredump stores a core, without a running systemd."""

#: What systemd does: the kernel's handler hands the core to a service over this socket (systemd-coredump.socket).
SERVICE = """
import os, socket, subprocess, sys
program, core, pid = sys.argv[1:]
os.makedirs("/run/systemd", exist_ok=True)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind("/run/systemd/coredump")
listener.listen(1)
words = [program, pid, "0", "0", "11", "1700000000", "18446744073709551615", "host"]
handler = subprocess.Popen(words, stdin=open(core, "rb"))
connection, _ = listener.accept()
if os.fork() == 0:
    os.dup2(connection.fileno(), 3)
    os.execve(program, [program], {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
sys.exit(os.wait()[1] | handler.wait())
"""
