"""Which system calls a submission may not make: those that reach for the kernel, and that no lesson needs.

A second wall, behind the namespaces. Most ways out of a container have begun with a user namespace of one's own, with
bpf, io_uring, keyrings or userfaultfd; sockets other than local and internet ones (vsock, for one) know no namespace.
Forbidden too is what holds memory that no process is seen to have, or takes of what a user or the machine has little:
memfd, System V's shared memory, semaphores and messages, pages lent to a pipe, attributes of files, Landlock's rules,
asynchronous input, watches of files, most of prctl. Locks of files seem to be given, and nobody has one. What can
still be piled up is bounded by the numbers of processes, of files in each (a socket's buffer may not grow), of
mappings and of timers; of a crowd the guard sees the sum, see `inside.is_above`.
"""

import ctypes
import errno
import platform
import struct

FORBIDDEN = {  # name: (x86_64, aarch64)
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "fanotify_init": (300, 262),
    "fsetxattr": (190, 7),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "io_setup": (206, 0),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "landlock_create_ruleset": (444, 444),
    "lsetxattr": (189, 6),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "msgget": (68, 186),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setns": (308, 268),
    "setxattr": (188, 5),
    "setxattrat": (463, 463),
    "shmget": (29, 194),
    "splice": (275, 76),
    "tee": (276, 77),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vmsplice": (316, 75),
}
CLONE, CLONE3 = (56, 220), (435, 435)
SETSID, FLOCK = (112, 157), (73, 32)  # claim success, do nothing: the kernel shares time by session
FCNTL, PRCTL, SOCKET, SOCKETPAIR, SETSOCKOPT = (72, 25), (157, 167), (41, 198), (53, 199), (54, 208)
FIRST, SECOND, THIRD = 16, 24, 32  # where an argument stands
LOCKS = (6, 7, 37, 38, 1024, 1026, 1031)  # F_SETLK, F_SETLKW, both of an open file, SETLEASE, NOTIFY, SETPIPE_SZ
OPTIONS = (3, 15, 16, 23, 38, 39)  # of prctl: GET_DUMPABLE, SET_NAME, GET_NAME, CAPBSET_READ, NO_NEW_PRIVS
SOL_SOCKET, LARGER = 1, (7, 26, 50, 51, 52)  # SO_SNDBUF, SO_ATTACH_FILTER, _BPF, _REUSEPORT_CBPF and _EBPF
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
FAMILIES = (1, 2, 10)  # local, IPv4, IPv6; of the network there is nothing but an unconnected loopback
NAMESPACES = 0x7E020080  # all CLONE_NEW…
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000


def forbid():
    """Holds for this process and all that it starts; on other processors than the two there is no such wall."""
    column, architecture = MACHINES.get(platform.machine(), (None, None))
    if column is None:
        return
    code = b"".join(struct.pack("HBBI", *line) for line in _filter(column, architecture))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(22, ctypes.c_ulong(2), ctypes.create_string_buffer(program, len(program)), 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def _filter(column, architecture):
    """Lines of (instruction, lines to skip if so, if not, operand)."""
    yield from [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL)]
    yield from [(LOAD, 0, 0, 0), (AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, KILL)]  # x86's other numbering
    for numbers in FORBIDDEN.values():
        yield from _when(numbers[column], {}, REFUSE | errno.EPERM) if numbers[column] is not None else ()
    yield from _when(CLONE3[column], {}, REFUSE | errno.ENOSYS)  # libc then uses clone
    yield from [(EQUAL, 0, 4, CLONE[column]), (LOAD, 0, 0, FIRST), (ANY_BIT, 0, 1, NAMESPACES)]
    yield from [(RETURN, 0, 0, REFUSE | errno.EPERM), (RETURN, 0, 0, ALLOW)]
    yield from _when(SETSID[column], {}, REFUSE)
    yield from _when(FLOCK[column], {}, REFUSE)
    yield from _when(FCNTL[column], {SECOND: LOCKS}, REFUSE)
    yield from _when(SETSOCKOPT[column], {SECOND: (SOL_SOCKET,), THIRD: LARGER}, REFUSE | errno.EPERM)
    yield from _when(PRCTL[column], {FIRST: OPTIONS}, ALLOW, REFUSE | errno.EINVAL)
    for number in (SOCKET[column], SOCKETPAIR[column]):
        yield from _when(number, {FIRST: FAMILIES}, ALLOW, REFUSE | errno.EAFNOSUPPORT)
    yield (RETURN, 0, 0, ALLOW)


def _when(number, arguments, outcome, otherwise=ALLOW):
    """Lines for a call: the outcome where each of the arguments has one of its values. arguments: {place: values}."""
    lines = []
    for place, values in arguments.items():
        lines.append((LOAD, 0, 0, place))
        lines += [(EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
        lines.append((RETURN, 0, 0, otherwise))
    return [(EQUAL, 0, len(lines) + 1, number), *lines, (RETURN, 0, 0, outcome)]
