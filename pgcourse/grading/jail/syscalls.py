"""Which system calls a submission may not make: those that reach for the kernel, and that no lesson needs.

A second wall, behind the namespaces. Most ways out of a container have begun with a user namespace of one's own, with
bpf, io_uring, keyrings or userfaultfd; sockets other than local and internet ones (vsock, for one) know no namespace.
Forbidden too is what holds memory that no process is seen to have: memfd, System V's shared memory, semaphores and
messages, pages lent to a pipe. A socket's buffer may not grow, see `inside.used`.
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
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
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
    "shmget": (29, 194),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vmsplice": (316, 75),
}
SOCKET, CLONE, CLONE3, SETSOCKOPT = (41, 198), (56, 220), (435, 435), (54, 208)
SETSID, SOL_SOCKET, SO_SNDBUF = (112, 157), 1, 7
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
        yield from [(EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, REFUSE | errno.EPERM)]
    yield from [(EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, REFUSE | errno.ENOSYS)]  # libc then uses clone
    yield from [(EQUAL, 0, 4, CLONE[column]), (LOAD, 0, 0, 16), (ANY_BIT, 0, 1, NAMESPACES)]
    yield from [(RETURN, 0, 0, REFUSE | errno.EPERM), (RETURN, 0, 0, ALLOW)]
    yield from [
        (EQUAL, 0, 1, SETSID[column]),
        (RETURN, 0, 0, REFUSE),
    ]  # claims success, does nothing: the kernel shares time by session
    yield from [(EQUAL, 0, 6, SETSOCKOPT[column]), (LOAD, 0, 0, 24), (EQUAL, 0, 3, SOL_SOCKET), (LOAD, 0, 0, 32)]
    yield from [(EQUAL, 0, 1, SO_SNDBUF), (RETURN, 0, 0, REFUSE | errno.EPERM), (RETURN, 0, 0, ALLOW)]
    yield from [(EQUAL, 0, 1 + len(FAMILIES) + 1, SOCKET[column]), (LOAD, 0, 0, 16)]
    yield from [(EQUAL, len(FAMILIES) - i, 0, family) for i, family in enumerate(FAMILIES)]
    yield from [(RETURN, 0, 0, REFUSE | errno.EAFNOSUPPORT), (RETURN, 0, 0, ALLOW)]
